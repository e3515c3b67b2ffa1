"""The item that the current code works on, where that is known: see :func:`find_item`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from .._support.usage import Usage, read_numbers
from .event import Event, Mark, WatchedItem, WatchOptions, scope
from .event_log import What
from .instrument import ItemEnd, StageFollower
from .meter import MeteredItem, StageMeter


class ItemReporter(Protocol):
    """What reports the items of a stage of a run.

    Attributes:
        stage: The id of the node.
        number: The number of the run.
        position: The position of the stage in it.
        emit: Receives the events.
        follower: Follows the items.
        time: The clock of the event loop.
        free_lanes: The lanes that items have left.
        lanes: Gives further lanes.
    """

    stage: str
    number: int
    position: int
    emit: Callable[[Event], None]
    follower: StageFollower | None
    time: Callable[[], float]
    free_lanes: list[int]
    lanes: Iterator[int]

    def emit_retry(self, index: int, lane: int | None, error: str | None) -> None:
        """Emit that an item is tried again."""

    def describe(self, end: ItemEnd) -> What:
        """Return what happened to an item, as a log keeps it."""


class Item:
    """An item in work, of which more is known than its mark.

    Args:
        mark: Its reporter, index and lane.

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

    def __init__(self, mark: Mark) -> None:
        self.mark = mark

    def report_retry(self, error: str | None) -> None:
        """Report that the item is tried again."""
        reporter: ItemReporter = self.mark[0]
        _, index, lane = self.mark
        reporter.emit_retry(index, lane, error)
        if reporter.follower is not None:
            reporter.follower.note_retry(self.followed, error)

    def report_fallback(self, node_id: str, error: str | None) -> None:
        """Report that another node is asked."""
        reporter: ItemReporter = self.mark[0]
        if reporter.follower is not None:
            reporter.follower.note_fallback(self.followed, node_id, error)

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
    """Return which item the caller works on, if its run is traced, subscribed to, followed or read.

    A run that is only metered, as for progress bars, does not know it.

    Example:
        >>> stage = MapNode(child_node=lambda text: find_item().index)
        >>> asyncio.run(stage.run({"items": ["a", "b"]}, trace=Trace()))
        {'results': [0, 1]}
    """
    around = scope.get()
    mark = around.mark if isinstance(around, Item) else around
    if not isinstance(mark, tuple):
        return None
    reporter, index, _ = mark
    return ItemPlace(reporter.number, reporter.stage, index)


def report_retry(error: str | None) -> None:
    """Report that the current item is tried again, if its run is watched."""
    item = _find_item_to_report()
    if item is not None:
        item.report_retry(error)


def report_fallback(node_id: str, error: str | None) -> None:
    """Report that another node is asked for the current item, if its run is watched.

    Args:
        node_id: The other node.
        error: Why the one before it failed, in words.
    """
    item = _find_item_to_report()
    if item is not None:
        item.report_fallback(node_id, error)


def note_failure(error: str, exception: BaseException | None = None) -> None:
    """Have the current item reported as failed, though its mapper returns and the run goes on.

    Args:
        error: Why, in words.
        exception: The exception behind it, where there is one.
    """
    item = _open_notes()
    if item is not None:
        item.error, item.exception = error, exception


def note_usage(metadata: dict[str, Any]) -> None:
    """Have the end of the current item reported with what was used for it.

    Args:
        metadata: That of the node's result; ``"usage"`` in it holds what was used.
    """
    item = _open_notes()
    if item is not None:
        item.usage = read_numbers(metadata.get("usage")) or None


def _open_notes() -> Item | MeteredItem | None:
    around = scope.get()
    if isinstance(around, StageMeter):
        return around.open_notes()
    if isinstance(around, tuple):
        item = Item(around)
        scope.set(item)
        return item
    return around if isinstance(around, (Item, MeteredItem)) else None


def _find_item_to_report() -> WatchedItem | None:
    around = scope.get()
    if isinstance(around, tuple):
        return Item(around)
    return None if isinstance(around, WatchOptions) else around
