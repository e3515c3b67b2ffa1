"""Calls with the same key at a time become one: the others wait for its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from enum import Enum, auto
from typing import Any, TypeAlias

from ..nodes.context import NodeResult
from ..nodes.micro_batch import find_calls_around
from .circuit_breaker import find_probed_breakers
from .limit import find_held_limits

Share: TypeAlias = Callable[[NodeResult], NodeResult]
Holds: TypeAlias = frozenset[object]


class Turn(Enum):
    """What one who waits is to do instead of taking an answer."""

    LEAD = auto()
    CALL_ALONE = auto()


class Flight:
    """One key that is being answered.

    Attributes:
        computed: What was computed and could not be stored yet when its caller was cancelled.
        waiters: Those who wait, the oldest first, and what each holds.
        waits: The flights that code inside this one waits for.
    """

    __slots__ = ("_holds", "computed", "waiters", "waits")

    def __init__(self) -> None:
        self.computed: NodeResult | None = None
        self.waiters: dict[asyncio.Future[NodeResult | Turn], Holds] = {}
        self.waits: list[Flight] = []
        self._holds: Holds = frozenset()

    def lead(self, holds: Holds) -> None:
        """Begin to answer, or go on with it, with what the caller holds."""
        self._holds = holds
        for waiter, held in self.waiters.items():
            if not waiter.done() and not held <= holds:
                waiter.set_result(Turn.CALL_ALONE)

    def may_be_waited_for(self, holds: Holds, around: tuple[Flight, ...]) -> bool:
        """Return whether waiting ends.

        It might not, if the one who answers needed what the waiter holds, such as the only permit
        of a limit, or if it waits, by whatever detour, for a flight that the waiter is part of.
        """
        if not holds <= self._holds:
            return False
        seen: set[Flight] = set()
        left = [self] if around else []
        while left:
            flight = left.pop()
            if flight in around:
                return False
            if flight not in seen:
                seen.add(flight)
                left += flight.waits
        return True

    def hand_over(self) -> bool:
        """Let the oldest waiter go on, if there is one."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(Turn.LEAD)
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
        call_alone: Callable[[], Awaitable[Any]],
    ) -> Any:
        """Answer a key, or wait for those who do.

        When the one who answers is cancelled, the one who has waited longest goes on.

        Args:
            key: What the calls have in common.
            lead: Answers it.
            call_alone: Called if waiting might never end.
        """
        holds = find_held_limits().union(find_probed_breakers(), find_calls_around())
        around = _around.get()
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = Flight()
        elif not flight.may_be_waited_for(holds, around):
            return await call_alone()
        else:
            answer = await self._wait(key, flight, holds, around)
            if answer is Turn.CALL_ALONE:
                return await call_alone()
            if isinstance(answer, NodeResult):
                return answer
        flight.lead(holds)
        token = _around.set((*around, flight))
        result = None
        try:
            result = await lead(flight)
        finally:
            _around.reset(token)
            self._end(key, flight, result)
        return result

    async def _wait(
        self, key: str, flight: Flight, holds: Holds, around: tuple[Flight, ...]
    ) -> NodeResult | Turn:
        """Return the answer, or what the caller is to do instead."""
        waiter: asyncio.Future[NodeResult | Turn] = self._loop.create_future()
        flight.waiters[waiter] = holds
        for outer in around:
            outer.waits.append(flight)
        has_gone_on = False
        try:
            answer = await waiter
            has_gone_on = True
            return answer
        finally:
            for outer in around:
                outer.waits.remove(flight)
            del flight.waiters[waiter]
            if not has_gone_on and _is_to_lead(waiter):
                self._end(key, flight, None)

    def _end(self, key: str, flight: Flight, result: NodeResult | None) -> None:
        if self._loop.is_closed():  # what is left of it is being destroyed
            return
        if result is None and flight.hand_over():
            return
        del self._flights[key]
        if result is not None:
            flight.settle(result, self._share)


def _is_to_lead(waiter: asyncio.Future[NodeResult | Turn]) -> bool:
    return (
        waiter.done()
        and not waiter.cancelled()
        and waiter.exception() is None
        and waiter.result() is Turn.LEAD
    )


_around: ContextVar[tuple[Flight, ...]] = ContextVar("nadoo_flow_flights", default=())
"""The flights that the caller is part of."""
