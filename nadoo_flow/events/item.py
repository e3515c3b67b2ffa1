"""The item that the current code works on, in a run that makes events, or is followed or read."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from .._support.usage import Usage, read_numbers
from .event import scope
from .instrument import ItemEnd, StageFollower
from .meter import MeteredItem, StageMeter


class ItemReporter(Protocol):
    """What reports the items of a stage of a run."""

    stage: str
    number: int
    follower: StageFollower | None

    def emit_retry(self, index: int, lane: int | None, error: str | None) -> None:
        """Emit that an item is tried again."""


class Item:
    """An item of a run, while it is worked on.

    Args:
        reporter: That of its stage.
        index: The position of the item in its source.
        lane: The slot of the stage that works on it, if these are numbered.

    Attributes:
        error: Why it failed, if the run goes on without it.
        exception: The exception behind that, where there is one.
        usage: What was used for it, if that is known.
        followed: What the follower of the stage gave for it.
    """

    error: str | None = None
    exception: BaseException | None = None
    usage: Usage | None = None
    followed: Any = None

    def __init__(self, reporter: ItemReporter, index: int, lane: int | None) -> None:
        self.reporter = reporter
        self.index = index
        self.lane = lane

    def report_retry(self, error: str | None) -> None:
        """Report that the item is tried again."""
        reporter = self.reporter
        reporter.emit_retry(self.index, self.lane, error)
        if reporter.follower is not None:
            reporter.follower.note_retry(self.followed, error)

    def report_fallback(self, node_id: str, error: str | None) -> None:
        """Report that another node is asked."""
        if self.reporter.follower is not None:
            self.reporter.follower.note_fallback(self.followed, node_id, error)

    def complete_end(self, end: ItemEnd) -> ItemEnd:
        """Return the end of the item with what was noted for it meanwhile."""
        if self.error is not None:
            end = ItemEnd("failed", self.error, end.usage, self.exception)
        return end if self.usage is None else end._replace(usage=self.usage)


class ItemPlace(NamedTuple):
    """Where an item is.

    Attributes:
        run: The number of the run.
        stage: The id of the node.
        index: The position of the item in its source.
    """

    run: int
    stage: str
    index: int  # type: ignore[assignment]  # it hides tuple.index


def find_item() -> ItemPlace | None:
    """Return which item the caller works on, if its run makes events, or is followed or read.

    A run that has only meters, as for progress bars, does not know it.

    Example:
        >>> stage = MapNode(child_node=lambda text: find_item().index)
        >>> asyncio.run(stage.run({"items": ["a", "b"]}, trace=Trace()))
        {'results': [0, 1]}
    """
    item = scope.get()
    if not isinstance(item, Item):
        return None
    return ItemPlace(item.reporter.number, item.reporter.stage, item.index)


def note_failure(error: str, exception: BaseException | None = None) -> None:
    """Have the current item reported as failed, though its mapper returns and the run goes on.

    Args:
        error: Why, in words.
        exception: The exception behind it, where there is one.
    """
    item = _find_notes()
    if item is not None:
        item.error, item.exception = error, exception


def note_usage(metadata: dict[str, Any]) -> None:
    """Have the end of the current item reported with what was used for it.

    Args:
        metadata: That of the node's result; ``"usage"`` in it holds what was used.
    """
    item = _find_notes()
    if item is not None:
        item.usage = read_numbers(metadata.get("usage")) or None


def _find_notes() -> Item | MeteredItem | None:
    item = scope.get()
    if isinstance(item, StageMeter):
        return item.open_notes()
    return item if isinstance(item, (Item, MeteredItem)) else None
