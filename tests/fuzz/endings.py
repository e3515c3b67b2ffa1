"""Consumes a run in one of the ways there are, and ends it as the case says."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from reactivex import Observable
from reactivex import operators as ops

from .case import Ending
from .ledger import Ledger


@dataclass
class End:
    """How a run ended, as its consumer saw it.

    Attributes:
        kind: ``"completed"``, ``"error"``, ``"left"`` by the consumer, or ``"cancelled"``.
        error: What was raised.
        value: What was returned.
        joined: Whether nothing of the run may be left at this moment.
    """

    kind: str
    error: BaseException | None = None
    value: Any = None
    joined: bool = True


LOOSE = ("drop", "aclose")
"""Ways to end an iterator that is in no ``async with`` block."""


class Leave(Exception):
    """What the body of a loop raises to leave it."""


async def until_awaited(make: Callable[[], Awaitable[Any]], ending: Ending, ledger: Ledger) -> End:
    """Await a run, and cancel it meanwhile if the case says so."""

    async def work() -> End:
        if ending.kind == "timeout":
            async with asyncio.timeout(ending.seconds):
                return End("completed", value=await make())
        return End("completed", value=await make())

    return await _ended(work, ending, ledger)


async def _ended(
    work: Callable[[], Coroutine[Any, Any, End]], ending: Ending, ledger: Ledger
) -> End:
    """Run in a task of its own, which is asked to end from outside if the case says so."""
    task = asyncio.Task(_caught(work), loop=asyncio.get_running_loop())
    if ending.kind in ("cancel", "cancel_twice", "cancel_often", "timeout"):
        await asyncio.wait([task], timeout=ending.seconds)
        ledger.ask_to_end()
        if ending.kind != "timeout":
            task.cancel()
        if ending.kind == "cancel_twice":
            await asyncio.wait([task], timeout=0.3)
            task.cancel()
        while ending.kind == "cancel_often" and not task.done():
            await asyncio.wait([task], timeout=0.1)
            task.cancel()
    await asyncio.wait([task])
    return End("cancelled") if task.cancelled() else task.result()


async def _caught(work: Callable[[], Coroutine[Any, Any, End]]) -> End:
    try:
        return await work()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return End("error", asyncio.CancelledError("out of the run, though nobody asked for it"))
    except BaseException as error:
        return End("error", error)


async def until_iterated(
    iterator: Any, ending: Ending, ledger: Ledger, receive: Callable[[Any], None], slow: float
) -> End:
    """Iterate over a run, and leave the loop as the case says."""
    ledger.iterator = weakref.ref(iterator)
    box, is_generator = [iterator], isinstance(iterator, AsyncGenerator)
    del iterator
    closer: asyncio.Task[End] | None = None
    if ending.kind == "aclose_elsewhere":
        # As of any task, an interrupt that leaves it would tear the loop down.
        close = partial(_close_later, box[0], ending.seconds, ledger)
        closer = asyncio.create_task(_caught(close))

    async def work() -> End:
        if ending.kind == "timeout":
            async with asyncio.timeout(ending.seconds):
                return await _iterated(box.pop(), ending, ledger, receive, slow)
        return await _iterated(box.pop(), ending, ledger, receive, slow)

    end = await _ended(work, ending, ledger)
    # Who is closed from inside is left before the run has ended: outside of a block, and as an
    # async generator, which ends with the first close.
    loose = ending.kind in LOOSE or is_generator
    end.joined = end.joined and not (ledger.closed_from_inside and loose)
    if closer is not None:
        await asyncio.wait([closer])
        if (closed := closer.result()).error is not None:
            end = closed
    return end


async def _close_later(iterator: Any, seconds: float, ledger: Ledger) -> End:
    await asyncio.sleep(seconds)
    ledger.ask_to_end()
    await iterator.aclose()
    return End("left")


async def _iterated(
    iterator: Any, ending: Ending, ledger: Ledger, receive: Callable[[Any], None], slow: float
) -> End:
    if ending.kind in LOOSE:
        end = await _looped(iterator, ending, ledger, receive, slow)
        if ending.kind == "aclose":
            await iterator.aclose()
        end.joined = ending.kind == "aclose" or end.kind != "left"
        return end
    try:
        async with aclosing(iterator):
            return await _looped(iterator, ending, ledger, receive, slow)
    except Leave:
        return End("left")


async def _looped(
    iterator: AsyncIterator[Any],
    ending: Ending,
    ledger: Ledger,
    receive: Callable[[Any], None],
    slow: float,
) -> End:
    count = 0
    while True:
        if ending.kind in ("break", "raise", "aclose", "drop") and count >= ending.items:
            ledger.ask_to_end()
            if ending.kind == "raise":
                raise Leave
            return End("left")
        try:
            item = await _next(iterator, ending)
        except StopAsyncIteration:
            return End("completed")
        receive(item)
        count += 1
        if slow:
            await asyncio.sleep(slow)


async def _next(iterator: AsyncIterator[Any], ending: Ending) -> Any:
    if ending.kind != "impatient":
        return await anext(iterator)
    while True:
        try:
            async with asyncio.timeout(ending.seconds):
                return await anext(iterator)
        except TimeoutError as error:
            if error.__cause__ is None or not isinstance(error.__cause__, asyncio.CancelledError):
                raise


async def until_observed(
    observable: Observable[Any], ending: Ending, ledger: Ledger, receive: Callable[[Any], None]
) -> End:
    """Subscribe to a run, and dispose of it as the case says."""
    if ending.kind == "take":
        observable = observable.pipe(ops.take(ending.items))
    over: asyncio.Future[End] = asyncio.get_running_loop().create_future()
    count, inside = 0, False

    def on_next(item: Any) -> None:
        nonlocal count, inside
        if inside:
            ledger.find("a signal is delivered while another one is")
        if over.done():
            ledger.find("an item came after the end")
        inside = True
        receive(item)
        count += 1
        if ending.kind == "dispose_in_on_next" and count >= ending.items:
            dispose()
        inside = False

    def end(kind: str, error: BaseException | None) -> None:
        if over.done():
            ledger.find("a terminal signal came after the end")
        else:
            # From `take`, which completes before the run it disposes of has ended.
            over.set_result(End(kind, error, joined=False))

    def dispose() -> None:
        ledger.ask_to_end()
        subscription.dispose()
        if not over.done():
            over.set_result(End("left", joined=False))

    subscription = observable.subscribe(
        on_next, lambda error: end("error", error), lambda: end("completed", None)
    )
    if count:
        ledger.find("an item came before subscribe() had returned")
    if ending.kind == "dispose":
        await asyncio.wait([over], timeout=ending.seconds)
        dispose()
    return await over
