"""Tasks that end in order, fatal errors inside them, and cancellations that are not requested."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from nadoo_flow._support.tasks import (
    FatalError,
    end_and_join,
    is_being_cancelled,
    is_closing,
    run_in_own_task,
    start_owned,
)
from nadoo_flow.testing import VirtualTimeLoop

from ..stand_ins import CLEAN_UP, Probe, assert_only_the_caller_runs, now, raised_by

_FATAL = [KeyboardInterrupt("stop"), SystemExit(3)]
_ORDINARY = [ValueError("x"), asyncio.CancelledError("x")]


async def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("wrapper", [start_owned, run_in_own_task])
class TestAwaitingInsideATask:
    async def test_returns_what_it_awaits(self, wrapper: Callable[..., Any]) -> None:
        assert await wrapper(partial(asyncio.sleep, 1, "done")) == "done"

    @pytest.mark.parametrize("error", _ORDINARY)
    async def test_passes_other_errors_unchanged(
        self, wrapper: Callable[..., Any], error: BaseException
    ) -> None:
        assert type(await raised_by(wrapper(partial(_raise, error)))) is type(error)


@pytest.mark.parametrize("fatal", _FATAL)
async def test_what_is_fatal_leaves_a_task_without_tearing_the_loop_down(
    fatal: BaseException,
) -> None:
    error = await raised_by(start_owned(partial(_raise, fatal)))
    assert isinstance(error, FatalError)
    assert error.error is fatal
    assert await raised_by(run_in_own_task(partial(_raise, fatal))) is fatal


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("fatal", _FATAL)
async def test_what_is_fatal_in_a_future_is_not_dropped_for_a_cancel_in_the_same_turn(
    fatal: BaseException, raises: bool
) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    cleaned_at: list[float] = []

    async def work() -> None:
        try:
            await future
        except asyncio.CancelledError:
            await asyncio.sleep(1)
            cleaned_at.append(now())
            if raises:
                raise

    task = start_owned(work)
    await asyncio.sleep(0)
    future.set_exception(fatal)
    await end_and_join([task])
    assert cleaned_at == [1]
    error = task.exception()
    assert isinstance(error, FatalError)
    assert error.error is fatal


@pytest.mark.parametrize("error", _ORDINARY)
async def test_what_is_not_fatal_in_a_future_is_dropped_for_a_cancel_in_the_same_turn(
    error: BaseException,
) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    task = start_owned(lambda: asyncio.wait_for(future, None))
    await asyncio.sleep(0)
    future.set_exception(error)
    await end_and_join([task])
    assert task.cancelled()


async def test_a_task_that_is_cancelled_before_its_first_step_has_made_nothing() -> None:
    made: list[object] = []

    def make() -> Coroutine[Any, Any, None]:
        made.append(1)
        return asyncio.sleep(1)

    task = start_owned(make)
    task.cancel()
    assert isinstance(await raised_by(task), asyncio.CancelledError)
    assert made == []


def test_what_is_contained_runs_its_finally_blocks_when_it_is_closed() -> None:
    loop, closed = VirtualTimeLoop(), list[bool]()
    loop.set_exception_handler(lambda _, context: None)

    async def work() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            closed.append(is_closing())

    async def leave() -> None:
        start_owned(work)
        await asyncio.sleep(1)

    loop.run_until_complete(leave())
    loop.close()
    gc.collect()
    assert closed == [True]


async def test_work_in_its_own_task_sees_another_current_task() -> None:
    async def current() -> asyncio.Task[Any] | None:
        return asyncio.current_task()

    assert await run_in_own_task(current) not in (None, asyncio.current_task())
    assert_only_the_caller_runs()


async def test_work_in_its_own_task_has_cleaned_up_when_its_cancelled_caller_goes_on() -> None:
    probe = Probe()
    task = asyncio.create_task(run_in_own_task(partial(probe, 10)))
    await asyncio.sleep(2)
    task.cancel()
    assert isinstance(await raised_by(task), asyncio.CancelledError)
    assert now() == 2 + CLEAN_UP
    probe.assert_cleaned()
    assert_only_the_caller_runs()


async def test_a_second_cancel_does_not_break_a_clean_up_off() -> None:
    probe = Probe()
    task = start_owned(partial(probe, 10))
    await asyncio.sleep(1)
    task.end()
    await asyncio.sleep(CLEAN_UP / 2)
    task.end()
    assert isinstance(await raised_by(task), asyncio.CancelledError)
    probe.assert_cleaned()


async def test_joining_waits_for_all_also_when_the_waiter_is_cancelled_again_and_again() -> None:
    probe = Probe()
    tasks = [start_owned(partial(probe, seconds)) for seconds in (0.5, 10, 20)]
    await asyncio.sleep(2)
    joining = asyncio.create_task(end_and_join(tasks))
    for _ in range(3):
        await asyncio.sleep(CLEAN_UP / 4)
        joining.cancel()
    assert isinstance(await raised_by(joining), asyncio.CancelledError)
    assert now() == 2 + CLEAN_UP
    assert probe.finished == [0.5]
    probe.assert_cleaned()
    assert_only_the_caller_runs()


async def test_a_task_is_being_cancelled_once_somebody_asked_for_it() -> None:
    seen: list[bool] = []

    async def work() -> None:
        seen.append(is_being_cancelled())
        try:
            await asyncio.sleep(10)
        finally:
            seen.append(is_being_cancelled())

    task = asyncio.create_task(work())
    await asyncio.sleep(1)
    task.cancel()
    assert isinstance(await raised_by(task), asyncio.CancelledError)
    assert seen == [False, True]


async def test_a_stray_cancelled_error_is_no_cancellation_of_the_task() -> None:
    try:
        raise asyncio.CancelledError
    except asyncio.CancelledError:
        assert not is_being_cancelled()


async def test_an_expired_timeout_leaves_no_cancellation_behind() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await asyncio.sleep(2)
    assert not is_being_cancelled()


async def test_outside_a_task_nothing_is_being_cancelled() -> None:
    seen: list[bool] = []
    asyncio.get_running_loop().call_soon(lambda: seen.append(is_being_cancelled()))
    await asyncio.sleep(0)
    assert seen == [False]
