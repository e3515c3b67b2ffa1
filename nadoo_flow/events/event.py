"""Events, the watchers that receive them, and what the caller of a run wants to watch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from .._support.checks import describe_value
from .._support.usage import Usage

Kind: TypeAlias = Literal["started", "finished", "failed", "retried", "dropped", "cancelled"]
ProgressArgument: TypeAlias = bool | Literal["always"]
"""Whether a run shows progress bars: only where someone can see them, or ``"always"``."""


class Event(NamedTuple):
    """A step of one item.

    Attributes:
        kind: ``"started"`` when a stage takes the item; then ``"retried"`` for each further try,
            and in the end one of ``"finished"``, ``"failed"``, ``"dropped"`` (a filter did not
            accept it) and ``"cancelled"``. An item of an Observable for which the buffer had no
            room is ``"dropped"`` without having started.
        stage: The id of the node.
        index: The position of the item in its source; None if it has none, because it was dropped
            before it came in.
        lane: The slot of the stage that works on the item, from 0; None if it has none.
        time: Seconds, by the clock of the event loop.
        run: The number of the run, unique in the process.
        position: The position of the stage in the run, from 0; a batch has one stage.
        error: A description of the error, if the item failed or is tried again.
        usage: What the item used by its end, such as ``{"tokens": 812}``, if its node says so in
            ``metadata["usage"]``.

    Example:
        >>> processor = BatchProcessor(str.upper)
        >>> subscription = processor.events.subscribe(lambda event: print(event.kind, event.index))
        >>> results = asyncio.run(processor.batch(["a"]))
        started 0
        finished 0
    """

    kind: Kind
    stage: str
    index: int | None  # type: ignore[assignment]  # it hides tuple.index
    lane: int | None
    time: float
    run: int = 0
    position: int = 0
    error: str | None = None
    usage: Usage | None = None


class StageInfo(NamedTuple):
    """One stage of a run.

    Attributes:
        stage: The id of the node.
        max_concurrency: Most items that it works on at a time.
        renumbers: Whether its items have other indexes than those of the stage before.

    Example:
        >>> StageInfo("fetch", max_concurrency=10).stage
        'fetch'
    """

    stage: str
    max_concurrency: int
    renumbers: bool = False


class RunInfo(NamedTuple):
    """A run, as it is known when it begins.

    Attributes:
        number: Its number, as in :attr:`Event.run`.
        stages: Its stages, by their positions.
        total: The number of its inputs, or None if that is not known.

    Example:
        >>> RunInfo(1, stages=(StageInfo("fetch", max_concurrency=10),), total=5000).total
        5000
    """

    number: int
    stages: tuple[StageInfo, ...]
    total: int | None


class Watcher:
    """A base class for objects that receive the events of runs.

    What a method raises is reported to the exception handler of the event loop. The watcher then
    gets no more events of that run, and the run goes on.

    Example:
        >>> class Counter(Watcher):
        ...     seen = 0
        ...     def on_event(self, event):
        ...         self.seen += event.kind == "finished"
        >>> counter = Counter()
        >>> stage = MapNode(child_node=str.upper)
        >>> outputs = asyncio.run(stage.run({"items": ["a", "b"]}, trace=counter))
        >>> counter.seen
        2
    """

    def on_begin(self, run: RunInfo) -> None:
        """Receive a run that begins.

        Args:
            run: The run.
        """

    def on_event(self, event: Event) -> None:
        """Receive an event.

        Args:
            event: The event; those of an item come in their order.
        """

    def on_end(self, run: RunInfo) -> None:
        """Receive a run that has ended: completed, failed or cancelled.

        Args:
            run: The run.
        """


@dataclass(frozen=True)
class WatchOptions:
    """What the caller of a run wants to watch.

    Attributes:
        progress: Whether to show progress bars, or ``"always"``.
        trace: Receives the events.
    """

    progress: ProgressArgument = False
    trace: Watcher | None = None

    def __post_init__(self) -> None:
        as_progress(self.progress)
        if self.trace is not None and not isinstance(self.trace, Watcher):
            raise TypeError(f"trace must be a Trace, got {describe_value(self.trace)}")


class WatchedItem(Protocol):
    """An item that is being worked on in a run that is watched."""

    def report_retry(self, error: str | None) -> None:
        """Report that the item is tried again."""

    def report_fallback(self, node_id: str, error: str | None) -> None:
        """Report that another node is asked."""


Mark: TypeAlias = tuple[Any, int, int | None]
"""An item in work: the reporter of its stage, its index and its lane, if the lanes are numbered.

It is made for each item, in a fifth of the time that an object takes.
"""

scope: ContextVar[WatchOptions | WatchedItem | Mark | None] = ContextVar(
    "nadoo_flow_watching", default=None
)
"""Around a run: what its caller wants to watch. Around an item of a watched run: the item, or
its mark."""


@contextmanager
def use_watch_options(watching: WatchOptions) -> Iterator[None]:
    """Have the stages that are executed inside the block use these options."""
    if watching == WatchOptions():
        yield
        return
    token = scope.set(watching)
    try:
        yield
    finally:
        scope.reset(token)


def get_watch_options() -> WatchOptions:
    """Return what the caller of a run wants to watch."""
    around = scope.get()
    return around if isinstance(around, WatchOptions) else WatchOptions()


def as_progress(value: object) -> ProgressArgument:
    """Return the value of a ``progress`` argument.

    Raises:
        TypeError: If it is neither a bool nor ``"always"``.
    """
    if value is True or value is False or value == "always":
        return value
    raise TypeError(f"progress must be True, False or 'always', got {describe_value(value)}")
