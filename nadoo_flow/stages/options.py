"""The options of one run of a list stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from .._support.checks import check_bool, check_positive_int
from ..events import WatchOptions
from ..nodes.context import WorkflowContext, check_workflow_context
from ..streams import Buffering, Valve, check_valve
from .resuming import ChainCheckpoint


@dataclass(slots=True)
class RunOptions:
    """How a list stage runs over a source.

    Attributes:
        ordered: Emit in the order of the source instead of as completed.
        indexed: Emit named tuples of the source item's index and the value.
        max_in_flight: Most items between the source and the consumer.
        workflow_context: State that the whole run shares; a fresh one for each run if None.
        buffering: What happens to the items of an Observable that come without demand.
        watching: Which progress bars and traces the caller asks for.
        valve: Drains the run, if there is one.
        checkpoint: Where the stages record what they make, if they do.
    """

    ordered: bool = False
    indexed: bool = False
    max_in_flight: int | None = None
    workflow_context: WorkflowContext | None = None
    buffering: Buffering = field(default_factory=Buffering)
    watching: WatchOptions = field(default_factory=WatchOptions)
    valve: Valve | None = None
    checkpoint: ChainCheckpoint | None = None

    def __post_init__(self) -> None:
        check_bool(self.ordered, "ordered")
        check_bool(self.indexed, "indexed")
        if self.max_in_flight is not None:
            self.max_in_flight = check_positive_int(self.max_in_flight, "max_in_flight")
        check_valve(self.valve)
        check_workflow_context(self.workflow_context)


@contextmanager
def use_valve(valve: Valve | None) -> Iterator[None]:
    """Have the stage that is executed inside the block use a valve."""
    token = _valve.set(check_valve(valve))
    try:
        yield
    finally:
        _valve.reset(token)


@contextmanager
def take_valve() -> Iterator[Valve | None]:
    """Give the valve to one stage, and not to those that its items execute inside the block."""
    valve = _valve.get()
    with use_valve(None):
        yield valve


_valve: ContextVar[Valve | None] = ContextVar("nadoo_flow_valve", default=None)
