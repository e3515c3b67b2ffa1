"""The stage that is checked, and the source and the work that it is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, TypeAlias

from ..._support.checks import describe_value
from ..._support.signatures import accepts
from ...stages import ListStage

CLEAN_UP = 0.5
"""Seconds that a call takes to end after it was cancelled."""

MakeStage: TypeAlias = "ListStage[Any, Any, Any] | Callable[..., ListStage[Any, Any, Any]]"
Model: TypeAlias = "Callable[[list[Any]], Any]"


class Work:
    """The async function that a stage is built on: it takes a second, and returns its argument.

    Attributes:
        peak: Most calls that ran at a time.
        running: How many have not ended.
        cleaning: How many were cancelled and have not cleaned up to the end.
    """

    def __init__(self) -> None:
        self.peak = 0
        self.running = 0
        self.cleaning = 0

    async def __call__(self, value: Any) -> Any:
        """Return the value after a second, or clean up for some time when it is cancelled."""
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            self.cleaning += 1
            await asyncio.sleep(CLEAN_UP)
            self.cleaning -= 1
            raise
        finally:
            self.running -= 1
        return value


class Items:
    """A source of items that keeps books.

    Attributes:
        pulled: How many items were pulled.
        is_closed: Whether it was left as it should be: exhausted or closed.
    """

    def __init__(self, items: list[Any], error: Exception | None = None) -> None:
        self._items = items
        self._error = error
        self.pulled = 0
        self.is_closed = True

    async def pull(self) -> AsyncIterator[Any]:
        """Give the items, and raise the error behind them if there is one."""
        self.is_closed = False
        try:
            for item in self._items:
                self.pulled += 1
                yield item
                await asyncio.sleep(0)
            if self._error is not None:
                raise self._error
        finally:
            self.is_closed = True


class Subject(NamedTuple):
    """A stage in one case.

    Attributes:
        stage: The stage.
        work: The function that it is built on, if it is.
    """

    stage: ListStage[Any, Any, Any]
    work: Work | None

    async def apply(self, items: list[Any]) -> Any:
        """Run the stage over a list, and return the outcome."""
        output = await self.stage.run({self.stage.input_key: items})
        return output[self.stage.output_key]


def make_subject_maker(make: MakeStage) -> Callable[[], Subject]:
    """Return a function that makes the subject of one case.

    Raises:
        TypeError: If that cannot be done with the argument ``stage``.
    """
    if isinstance(make, ListStage):
        return lambda: Subject(make, None)
    refusal = f"stage must be a stage, or a function that makes one, got {describe_value(make)}"
    if not callable(make):
        raise TypeError(refusal)
    takes_work = accepts(make, 1) and not accepts(make, 0)
    if not (takes_work or accepts(make, 0)):
        raise TypeError(
            f"{refusal}, which takes several arguments; "
            "write lambda work: MyStage('id', work), or without a parameter"
        )

    def make_subject() -> Subject:
        work = Work() if takes_work else None
        stage = make() if work is None else make(work)
        if not isinstance(stage, ListStage):
            raise TypeError(f"{refusal}, which made {describe_value(stage)}")
        return Subject(stage, work)

    return make_subject
