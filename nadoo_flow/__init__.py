"""Run async nodes over many inputs: bounded, fast and observable, on ReactiveX."""

from importlib import import_module
from typing import TYPE_CHECKING

from .batch import BatchProcessor
from .errors import NodeError
from .events import Event
from .nodes import BaseNode, FunctionNode, NodeContext, NodeResult, Pipeline, WorkflowContext
from .results import BatchResult, BatchResults
from .streams import BufferOverflowError, OverflowStrategy, Valve
from .tracing import Trace

if TYPE_CHECKING:
    from . import checkpoint as checkpoint
    from . import dashboard as dashboard
    from . import dead_letters as dead_letters
    from . import executors as executors
    from . import operators as operators
    from . import policies as policies
    from . import stages as stages
    from . import telemetry as telemetry
    from . import testing as testing
    from .batch import DynamicBatchProcessor
    from .checkpoint import Checkpoint, CheckpointError, SqliteCheckpoint
    from .dead_letters import DeadLetter, DeadLetterError, read_failed
    from .nodes import MicroBatchNode, ParallelNode, ParallelStrategy
    from .policies import AdaptiveLimit, ConcurrencyLimit
    from .stages import (
        ExpandNode,
        FilterNode,
        FlatMapNode,
        MapNode,
        OperatorNode,
        ReduceNode,
        route,
    )

    __version__: str

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
    "DeadLetter",
    "DeadLetterError",
    "DynamicBatchProcessor",
    "Event",
    "ExpandNode",
    "FilterNode",
    "FlatMapNode",
    "FunctionNode",
    "MapNode",
    "MicroBatchNode",
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
    "Valve",
    "WorkflowContext",
    "read_failed",
    "route",
]

# Imported when they are first used, so that a program which does without them starts sooner.
_LATE_ROOMS = {
    "checkpoint",
    "dashboard",
    "dead_letters",
    "executors",
    "operators",
    "policies",
    "stages",
    "telemetry",
    "testing",
}
_LATE = {
    "AdaptiveLimit": ".policies",
    "Checkpoint": ".checkpoint",
    "CheckpointError": ".checkpoint",
    "ConcurrencyLimit": ".policies",
    "DeadLetter": ".dead_letters",
    "DeadLetterError": ".dead_letters",
    "DynamicBatchProcessor": ".batch",
    "ExpandNode": ".stages",
    "FilterNode": ".stages",
    "FlatMapNode": ".stages",
    "MapNode": ".stages",
    "MicroBatchNode": ".nodes",
    "OperatorNode": ".stages",
    "ParallelNode": ".nodes",
    "ParallelStrategy": ".nodes",
    "ReduceNode": ".stages",
    "SqliteCheckpoint": ".checkpoint",
    "read_failed": ".dead_letters",
    "route": ".stages",
}


if not TYPE_CHECKING:  # a checker would take any name for one of the module's

    def __getattr__(name: str) -> object:
        if name == "__version__":
            return import_module("importlib.metadata").version("nadoo-flow")
        if name in _LATE_ROOMS:
            return import_module(f".{name}", __name__)
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_LATE[name], __name__), name)
        return value


def __dir__() -> list[str]:
    return __all__
