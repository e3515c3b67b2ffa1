"""What happens in a run, told to whoever watches it. It knows nothing of Rx."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeAlias

from .._support.checks import describe_value

Kind: TypeAlias = Literal["started", "finished", "failed", "retried", "dropped", "cancelled"]
ProgressArgument: TypeAlias = bool | Literal["always"]


class Event(NamedTuple):
    """One thing that happened to one item.

    Attributes:
        kind: ``"started"`` when a stage takes the item; then ``"retried"`` for each further try,
            and in the end one of ``"finished"``, ``"failed"``, ``"dropped"`` (a filter did not
            accept it) and ``"cancelled"``. An item that the buffer of a live source had no room
            for is ``"dropped"`` without having started.
        stage: The id of the node.
        index: The position of the item in its source; None where it never got one.
        lane: Which of the stage's slots the item is worked on in, from 0; None where it has none.
        time: When, by the clock of the event loop.
        run: The number of the run, which differs between all runs of the process.
        position: Which stage of the run it is, from 0; a batch has only one.
        error: Why, in words, if it failed or is tried again.
    """

    kind: Kind
    stage: str
    index: int | None  # type: ignore[assignment]  # it hides tuple.index
    lane: int | None
    time: float
    run: int = 0
    position: int = 0
    error: str | None = None


class StageInfo(NamedTuple):
    """One stage of a run.

    Attributes:
        stage: The id of the node.
        max_concurrency: Most items that it works on at a time.
        renumbers: Whether the indexes of its items are not those of the stage before it.
    """

    stage: str
    max_concurrency: int
    renumbers: bool = False


class RunInfo(NamedTuple):
    """A run that begins.

    Attributes:
        number: Its number, as in :attr:`Event.run`.
        stages: Its stages, by their positions.
        total: How many inputs it has, where that is known.
    """

    number: int
    stages: tuple[StageInfo, ...]
    total: int | None


class Watcher:
    """Is told of runs and of what happens in them; what it raises does not reach the run."""

    def on_begin(self, run: RunInfo) -> None:
        """Learn that a run begins."""

    def on_event(self, event: Event) -> None:
        """Learn what happened to an item."""

    def on_end(self, run: RunInfo) -> None:
        """Learn that a run has ended, in whatever way."""


@dataclass(frozen=True)
class WatchOptions:
    """What a caller wants to see of a run."""

    progress: ProgressArgument = False
    trace: Watcher | None = None

    def __post_init__(self) -> None:
        as_progress(self.progress)
        if self.trace is not None and not isinstance(self.trace, Watcher):
            raise TypeError(f"trace must be a Trace, got {describe_value(self.trace)}")


class WatchedItem(Protocol):
    """An item that is being worked on in a run that somebody watches."""

    def report_retry(self, error: str | None) -> None:
        """Report that the item is tried again."""


scope: ContextVar[WatchOptions | WatchedItem | None] = ContextVar(
    "nadoo_flow_watching", default=None
)
"""Around a run: what its caller wants to see. Around an item of a run that is watched: the item."""


@contextmanager
def use_watch_options(watching: WatchOptions) -> Iterator[None]:
    """Have the stages that are executed inside the block watched."""
    if watching == WatchOptions():
        yield
        return
    token = scope.set(watching)
    try:
        yield
    finally:
        scope.reset(token)


def get_watch_options() -> WatchOptions:
    """Return what the caller of a run wants to see of it."""
    around = scope.get()
    return around if isinstance(around, WatchOptions) else WatchOptions()


def report_retry(error: str | None) -> None:
    """Tell whoever watches that the current item is tried again."""
    around = scope.get()
    if around is not None and not isinstance(around, WatchOptions):
        around.report_retry(error)


def as_progress(value: object) -> ProgressArgument:
    """Return the value of a ``progress`` argument.

    Raises:
        TypeError: If it is none.
    """
    if value is True or value is False or value == "always":
        return value
    raise TypeError(f"progress must be True, False or 'always', got {describe_value(value)}")
