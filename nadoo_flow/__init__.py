"""Run async nodes over many inputs: bounded, fast and observable, on ReactiveX."""

from .batch import BatchProcessor
from .batch_result import BatchResult
from .context import NodeContext, NodeResult, WorkflowContext
from .dynamic_batch import DynamicBatchProcessor
from .errors import NodeError
from .node import BaseNode, FunctionNode, Pipeline
from .operator_node import OperatorNode
from .parallel import ParallelNode, ParallelStrategy
from .policies.limits import AdaptiveLimit, ConcurrencyLimit
from .stages import FilterNode, MapNode, ReduceNode
from .streams import BufferOverflowError, OverflowStrategy

__all__ = [
    "AdaptiveLimit",
    "BaseNode",
    "BatchProcessor",
    "BatchResult",
    "BufferOverflowError",
    "ConcurrencyLimit",
    "DynamicBatchProcessor",
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
