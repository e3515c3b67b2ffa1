"""The loop that the other tests rely on."""

import asyncio

import pytest

from . import virtual_time
from .virtual_time import DeadlockError, VirtualTimeLoop, advance


async def test_a_day_passes_at_once() -> None:
    await asyncio.sleep(86_400)
    assert asyncio.get_running_loop().time() == 86_400


async def test_timers_fire_in_order_at_their_exact_times() -> None:
    loop, fired = asyncio.get_running_loop(), []
    for delay in (3, 1, 2):
        loop.call_later(delay, lambda: fired.append(loop.time()))
    await asyncio.sleep(4)
    assert fired == [1, 2, 3]


async def test_work_can_take_time_without_suspending() -> None:
    advance(0.5)
    assert asyncio.get_running_loop().time() == 0.5


def test_a_deadlock_is_an_error_and_not_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "PATIENCE", 0.1)
    loop = VirtualTimeLoop()
    with pytest.raises(DeadlockError):
        loop.run_until_complete(loop.create_future())
    loop.close()


@pytest.mark.asyncio(loop_factories=["real"])
async def test_a_test_can_have_a_real_loop() -> None:
    assert not isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
