"""Run async nodes over many inputs: bounded, fast and observable, on ReactiveX."""

from importlib import import_module
from typing import TYPE_CHECKING

from .batch import BatchProcessor
from .batch_result import BatchResult
from .context import NodeContext, NodeResult, WorkflowContext
from .errors import NodeError
from .node import BaseNode, FunctionNode, Pipeline
from .results import BatchResults
from .streams import BufferOverflowError, OverflowStrategy
from .trace import Trace
from .watching import Event

if TYPE_CHECKING:
    from .checkpoint import Checkpoint, CheckpointError, SqliteCheckpoint
    from .dynamic_batch import DynamicBatchProcessor
    from .operator_node import OperatorNode
    from .parallel import ParallelNode, ParallelStrategy
    from .policies import AdaptiveLimit, ConcurrencyLimit
    from .stages import FilterNode, MapNode, ReduceNode

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

# Imported when they are first used, so that a program which does without them starts sooner.
_LATE = {
    "AdaptiveLimit": ".policies",
    "Checkpoint": ".checkpoint",
    "CheckpointError": ".checkpoint",
    "ConcurrencyLimit": ".policies",
    "DynamicBatchProcessor": ".dynamic_batch",
    "FilterNode": ".stages",
    "MapNode": ".stages",
    "OperatorNode": ".operator_node",
    "ParallelNode": ".parallel",
    "ParallelStrategy": ".parallel",
    "ReduceNode": ".stages",
    "SqliteCheckpoint": ".checkpoint",
}


if not TYPE_CHECKING:  # a checker would take any name for one of the module's

    def __getattr__(name: str) -> object:
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_LATE[name], __name__), name)
        return value


def __dir__() -> list[str]:
    return __all__
