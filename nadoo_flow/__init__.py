"""Run async nodes over many inputs: bounded, fast and observable, on ReactiveX."""

from .batch import BatchProcessor, BatchResult
from .context import NodeContext, NodeResult, WorkflowContext
from .errors import NodeError
from .node import BaseNode, FunctionNode, Pipeline
from .parallel import ParallelNode, ParallelStrategy
from .stages import FilterNode, MapNode, ReduceNode

__all__ = [
    "BaseNode",
    "BatchProcessor",
    "BatchResult",
    "FilterNode",
    "FunctionNode",
    "MapNode",
    "NodeContext",
    "NodeError",
    "NodeResult",
    "ParallelNode",
    "ParallelStrategy",
    "Pipeline",
    "ReduceNode",
    "WorkflowContext",
]
