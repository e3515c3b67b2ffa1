"""The work of ``flat_map_many`` on one item: how its outputs are opened, and where they go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from .._support.tasks import OwnedTask, get_running_task, is_closing

T = TypeVar("T")
R = TypeVar("R")

Outputs: TypeAlias = Iterator[R] | AsyncIterator[R]
"""The outputs of one item."""


class Hold(Protocol):
    """What an item holds, and others may have while the outputs of the item wait for demand."""

    def give_back(self) -> None:
        """Give it back."""

    async def take_again(self) -> None:
        """Wait until it is there for the next output."""


class Outlet(Protocol):
    """Where the outputs of one item go."""

    @property
    def holds(self) -> list[Hold]:
        """What the item holds at the moment, the outermost first."""

    @property
    def outputs(self) -> int:
        """How many it has taken."""

    def pull(self, outputs: Outputs[Any]) -> Coroutine[Any, Any, None]:
        """Take outputs to their end, each when there is demand for it.

        A generator is closed when it is left.

        Args:
            outputs: An iterator, sync or async.
        """


class ManyWork(Generic[T]):
    """Opens the outputs of each item, and says what an error in them means."""

    def pull(self, item: T, outlet: Outlet) -> Any:
        """Return a coroutine in which the outlet takes all outputs of an item; it may try again.

        Args:
            item: The item.
            outlet: Where its outputs go.
        """
        raise NotImplementedError(f"{type(self).__name__} must define pull()")

    def check(self, item: T, answer: Any) -> None:
        """Raise an error if what :meth:`pull` came to is a failure.

        Args:
            item: The item.
            answer: What the coroutine of :meth:`pull` returned.
        """

    def fail(self, item: T, error: BaseException, outputs: int) -> None:
        """Raise what ends the run, or return to go on with the other items.

        Args:
            item: The item.
            error: What was raised.
            outputs: How many outputs the item had given before.
        """
        raise error


class AroundOutputs(Generic[R]):
    """Iterates over other outputs, which are closed in its place.

    Args:
        outputs: The other outputs.
    """

    def __init__(self, outputs: Outputs[R]) -> None:
        self._outputs: Any = outputs


def are_async(outputs: Outputs[Any]) -> bool:
    """Return whether each output has to be awaited.

    Args:
        outputs: The outputs of an item.
    """
    # An AsyncIterator must have __aiter__ as well, which ``async for`` does not ask for.
    return hasattr(type(outputs), "__anext__")


async def close_outputs(outputs: Outputs[Any]) -> None:
    """Close a generator that may have been left; the end of the run does not interrupt that.

    Args:
        outputs: The outputs of an item; what is no generator is left alone.
    """
    while isinstance(outputs, AroundOutputs):
        outputs = outputs._outputs
    if not are_async(outputs):
        if isinstance(outputs, Generator):
            outputs.close()
        return
    close = getattr(outputs, "aclose", None)
    if close is None or is_closing():
        return
    task = get_running_task()
    if isinstance(task, OwnedTask):
        await task.close_undisturbed(close)
    else:
        await close()
