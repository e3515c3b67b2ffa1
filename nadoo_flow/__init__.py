"""Run async nodes over many inputs: bounded, fast and observable, on ReactiveX."""

from .batch import BatchProcessor
from .batch_result import BatchResult
from .checkpoint import Checkpoint, CheckpointError, SqliteCheckpoint
from .context import NodeContext, NodeResult, WorkflowContext
from .dynamic_batch import DynamicBatchProcessor
from .errors import NodeError
from .node import BaseNode, FunctionNode, Pipeline
from .operator_node import OperatorNode
from .parallel import ParallelNode, ParallelStrategy
from .policies.limits import AdaptiveLimit, ConcurrencyLimit
from .results import BatchResults
from .stages import FilterNode, MapNode, ReduceNode
from .streams import BufferOverflowError, OverflowStrategy
from .trace import Trace
from .watching import Event

__all__ = [
    "AdaptiveLimit",
    "BaseNode",
    "BatchProcessor",
    "BatchResult",
    "BatchResults",
    "BufferOverflowError",
    "Checkpoint",
    "CheckpointError",
    "ConcurrencyLimit",
    "DynamicBatchProcessor",
    "Event",
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
    "SqliteCheckpoint",
    "Trace",
    "WorkflowContext",
]
