"""Run async nodes over many inputs: bounded, fast and observable, on ReactiveX."""

from .batch import BatchProcessor, BatchResult
from .context import NodeContext, NodeResult, WorkflowContext
from .errors import NodeError
from .node import BaseNode, FunctionNode, Pipeline
from .operator_node import OperatorNode
from .parallel import ParallelNode, ParallelStrategy
from .stages import FilterNode, MapNode, ReduceNode
from .streams import BufferOverflowError, OverflowStrategy

__all__ = [
    "BaseNode",
    "BatchProcessor",
    "BatchResult",
    "BufferOverflowError",
    "FilterNode",
    "FunctionNode",
    "MapNode",
    "NodeContext",
    "NodeError",
    "NodeResult",
    "OperatorNode",
    "OverflowStrategy",
    "ParallelNode",
    "ParallelStrategy",
    "Pipeline",
    "ReduceNode",
    "WorkflowContext",
]
