"""Calls with the same key at a time become one: the others wait for its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TypeAlias

from ..nodes.context import NodeResult

Share: TypeAlias = Callable[[NodeResult], NodeResult]


class Flight:
    """One key that is being answered.

    Attributes:
        computed: What was computed and could not be stored yet when its caller was cancelled.
        waiters: Those who wait, the oldest first. They get the answer, or None to go on with it.
        waits: The flights that code inside this one waits for.
    """

    __slots__ = ("computed", "waiters", "waits")

    def __init__(self) -> None:
        self.computed: NodeResult | None = None
        self.waiters: dict[asyncio.Future[NodeResult | None], None] = {}
        self.waits: list[Flight] = []

    def waits_for(self, others: tuple[Flight, ...]) -> bool:
        """Return whether it is one of others, or waits for one by whatever detour."""
        seen: set[Flight] = set()
        left = [self] if others else []
        while left:
            flight = left.pop()
            if flight in others:
                return True
            if flight not in seen:
                seen.add(flight)
                left += flight.waits
        return False

    def hand_over(self) -> bool:
        """Let the oldest waiter go on, if there is one."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
                return True
        return False

    def settle(self, result: NodeResult, share: Share) -> None:
        """Give those who wait their answers, before anyone can change the first one."""
        for waiter in self.waiters:
            if waiter.done():
                continue
            try:
                waiter.set_result(share(result))
            except Exception as error:  # it could not be copied
                waiter.set_exception(error)


class SingleFlight:
    """The keys that are being answered on one event loop.

    Args:
        share: Makes the answer of one who waits of that of the one who answered.
    """

    def __init__(self, share: Share) -> None:
        self._share = share
        self._flights: dict[str, Flight] = {}
        self._loop = asyncio.get_running_loop()

    async def answer(
        self,
        key: str,
        lead: Callable[[Flight], Awaitable[NodeResult]],
        call_alone: Callable[[], Awaitable[NodeResult]],
    ) -> NodeResult:
        """Answer a key, or wait for those who do.

        When the one who answers is cancelled, the one who has waited longest goes on.

        Args:
            key: What the calls have in common.
            lead: Answers it.
            call_alone: Called if waiting might never end, because the key is being answered by
                someone who waits for the caller, such as the node around it.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = Flight()
        else:
            around = _around.get()
            if flight.waits_for(around):
                return await call_alone()
            shared = await self._wait(key, flight, around)
            if shared is not None:
                return shared
        token = _around.set((*_around.get(), flight))
        result = None
        try:
            result = await lead(flight)
        finally:
            _around.reset(token)
            self._end(key, flight, result)
        return result

    async def _wait(
        self, key: str, flight: Flight, around: tuple[Flight, ...]
    ) -> NodeResult | None:
        """Return the answer, or None if the caller is to go on with it."""
        waiter: asyncio.Future[NodeResult | None] = self._loop.create_future()
        flight.waiters[waiter] = None
        for outer in around:
            outer.waits.append(flight)
        goes_on = False
        try:
            result = await waiter
            goes_on = True
            return result
        finally:
            for outer in around:
                outer.waits.remove(flight)
            del flight.waiters[waiter]
            if not goes_on and _leads(waiter):
                self._end(key, flight, None)

    def _end(self, key: str, flight: Flight, result: NodeResult | None) -> None:
        if self._loop.is_closed():  # what is left of it is being destroyed
            return
        if result is None and flight.hand_over():
            return
        del self._flights[key]
        if result is not None:
            flight.settle(result, self._share)


def _leads(waiter: asyncio.Future[NodeResult | None]) -> bool:
    """Return whether one who waited was to go on."""
    return (
        waiter.done()
        and not waiter.cancelled()
        and waiter.exception() is None
        and waiter.result() is None
    )


_around: ContextVar[tuple[Flight, ...]] = ContextVar("nadoo_flow_flights", default=())
"""The flights that the caller is part of."""
