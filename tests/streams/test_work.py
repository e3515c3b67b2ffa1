"""The work on an item: how it starts, and what becomes of its end."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from nadoo_flow.streams import Subscription, Work, WrappedWork, do_work, drain, emit, flat_map
from nadoo_flow.streams.plan import Plan
from tests.stand_ins import raised_by


class Recorded(Work[int, str]):
    """Starts as a function says, and records the calls of the engine."""

    def __init__(self, start: Callable[[int], Any]) -> None:
        self._start = start
        self.calls: list[tuple[Any, ...]] = []

    def start(self, item: int, started: float) -> Any:
        self.calls.append(("start", item, started))
        return self._start(item)

    def finish(self, item: int, answer: Any, started: float) -> str:
        self.calls.append(("finish", item, answer, started))
        return f"{item}: {answer}"

    def fail(self, item: int, error: BaseException, started: float) -> str:
        self.calls.append(("fail", item, error, started))
        return f"{item} failed"


def double(item: int) -> int:
    return 2 * item


async def double_later(item: int) -> int:
    await asyncio.sleep(1)
    return 2 * item


class LostError(Exception):
    pass


def lose(item: int) -> None:
    raise LostError


async def lose_later(item: int) -> None:
    await asyncio.sleep(1)
    raise LostError


async def in_lanes(work: Work[int, str]) -> str:
    """Have a lane do the work."""
    results: list[str] = []

    def build(run: Subscription) -> Any:
        return emit(run, [5]).pipe(flat_map(run, Unwrapped(work), 1))

    await drain(Plan(build, 1), results.append)
    (result,) = results
    return result


class Unwrapped(Work[Any, str]):
    """Takes the index off an item."""

    def __init__(self, work: Work[int, str]) -> None:
        self._work = work

    def start(self, item: Any, started: float) -> Any:
        return self._work.start(item[1], started)

    def finish(self, item: Any, answer: Any, started: float) -> str:
        return self._work.finish(item[1], answer, started)

    def fail(self, item: Any, error: BaseException, started: float) -> str:
        return self._work.fail(item[1], error, started)


async def alone(work: Work[int, str]) -> str:
    return await do_work(work, 5, 0.0)


both = pytest.mark.parametrize("do", [in_lanes, alone])


@both
@pytest.mark.parametrize("start", [double, double_later])
async def test_an_answer_is_finished(do: Any, start: Callable[[int], Any]) -> None:
    work = Recorded(start)
    assert await do(work) == "5: 10"
    assert work.calls == [("start", 5, 0.0), ("finish", 5, 10, 0.0)]


@both
@pytest.mark.parametrize("start", [lose, lose_later])
async def test_what_is_raised_fails(do: Any, start: Callable[[int], Any]) -> None:
    work = Recorded(start)
    assert await do(work) == "5 failed"
    (_, (name, item, error, started)) = work.calls
    assert (name, item, started) == ("fail", 5, 0.0)
    assert isinstance(error, LostError)


@both
@pytest.mark.parametrize("start", [lose, lose_later])
async def test_a_kept_exception_does_not_keep_the_run(do: Any, start: Callable[[int], Any]) -> None:
    work = Recorded(start)
    await do(work)
    error = work.calls[-1][2]
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert not {"_run_lane", "do_work"}.intersection(names)
    assert names[-1] == start.__name__


@both
async def test_what_is_raised_while_finishing_is_no_failure_of_the_item(do: Any) -> None:
    class Strict(Recorded):
        def finish(self, item: int, answer: Any, started: float) -> str:
            raise LostError

    work = Strict(double)
    assert isinstance(await raised_by(do(work)), LostError)
    assert [call[0] for call in work.calls] == ["start"]


@both
async def test_a_plain_work_gives_answers_and_raises_failures(do: Any) -> None:
    class Plain(Work[int, Any]):
        def __init__(self, start: Callable[[int], Any]) -> None:
            self._start = start

        def start(self, item: int, started: float) -> Any:
            return self._start(item)

    assert await do(Plain(double_later)) == 10
    assert isinstance(await raised_by(do(Plain(lose_later))), LostError)


@both
async def test_it_has_to_be_written(do: Any) -> None:
    error = await raised_by(do(Work()))
    assert isinstance(error, NotImplementedError)
    assert str(error) == "Work must define start()"


async def test_wrapped_work_is_the_other_but_for_what_is_overridden() -> None:
    class Named(WrappedWork[int, str]):
        def finish(self, item: int, answer: Any, started: float) -> str:
            return f"named {self._finish(item, answer, started)}"

    other = Recorded(double)
    work = Named(other)
    assert (work.start, work.fail) == (other.start, other.fail)
    assert await alone(work) == "named 5: 10"
    assert await alone(Named(Recorded(lose))) == "5 failed"
