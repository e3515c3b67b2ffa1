"""The policy ``limit``: all nodes that it wraps share one limit on concurrency."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from types import CoroutineType
from typing import Any, TypeAlias

from .._support.checks import describe_value
from .._support.clock import get_clock
from .._support.tasks import leave_out_caller
from ..nodes.context import NodeResult
from ..nodes.execution import Bound, check_answer, make_failure
from ..nodes.many import ManyInput
from ..nodes.node import NodeLike
from .adaptive_limit import AdaptiveLimit
from .concurrency_limit import ConcurrencyLimit, was_handed_over
from .signals import is_overload
from .stopwatch import Stopwatch, watch_outputs
from .wrapper import Bind, FunctionPolicy, NodePolicy, PolicyNode

Observe: TypeAlias = Callable[..., None]
"""Takes the seconds of an execution, whether it met an overload, and whether it succeeded."""


def limit(shared: ConcurrencyLimit) -> NodePolicy:
    """Execute a node only while it holds a permit of a limit that others may share.

    A nesting holds one permit: a node inside the limited one that asks the same limit works with
    the permit of the outer one, which waits. So no nesting can deadlock, and the limit is exact
    over all.

    A generator in a ``FlatMapNode`` holds its permit until it has ended or is closed, except while
    its outputs wait until they are wanted: others may have the permit then, because the outputs may
    wait for them. So more generators may be open than there are permits, up to the stage's
    ``max_concurrency``, but no more are at work.

    Args:
        shared: A ConcurrencyLimit or an AdaptiveLimit.

    Raises:
        TypeError: At the call, if it is no limit.

    Example:
        >>> node = FunctionNode(str.upper).pipe(limit(ConcurrencyLimit(4)))
        >>> asyncio.run(BatchProcessor(node, max_concurrency=100).batch(["a", "b"])).outputs
        ['A', 'B']
    """
    if not isinstance(shared, ConcurrencyLimit):
        hint = f"; write limit(ConcurrencyLimit({shared}))" if isinstance(shared, int) else ""
        raise TypeError(
            "shared must be a ConcurrencyLimit or an AdaptiveLimit, "
            f"got {describe_value(shared)}{hint}"
        )
    text = f"limit({shared!r})"
    if isinstance(shared, AdaptiveLimit):
        return FunctionPolicy(lambda node: AdaptiveLimitNode(node, shared), text)
    return FunctionPolicy(lambda node: LimitNode(node, shared), text)


class LimitNode(PolicyNode):
    """A node that executes only while it holds a permit."""

    _observe: Observe | None = None

    def __init__(self, node: NodeLike, shared: ConcurrencyLimit) -> None:
        super().__init__(node)
        self.shared = shared

    def _bind_around(self, attempt: Bound, bind: Bind) -> Bound:
        call, gives_output = attempt
        shared, loop = self.shared, asyncio.get_running_loop()
        is_plain = shared._is_plain()
        observe, time = self._observe, get_clock(loop)

        async def call_with_permit(value: Any) -> Any:
            around = _innermost.get()
            lender = shared if around is None else _find_lender(shared, around)
            # What _take() does in most cases, whose calls would add a third to the cost.
            if (
                is_plain
                and lender is shared
                and 0 < shared.in_use < shared._size
                and shared._loop is loop
                and not shared._waiters
            ):
                shared.in_use += 1
            elif not (is_plain and lender._take(loop)):
                await lender.acquire()
            hold = _Hold(shared, lender, around)
            token = _innermost.set(hold)
            holds = value.outlet.holds if type(value) is ManyInput else None
            if holds is not None:
                holds.append(hold)
            try:
                if observe is None:
                    answer = call(value)
                    return await answer if type(answer) is CoroutineType else answer
                started, watch = time(), None
                if holds is not None:
                    watch = Stopwatch(time)
                    value = watch_outputs(value, watch)
                # What answer_safely() does, whose call would be paid for each item.
                try:
                    answer = call(value)
                    if type(answer) is CoroutineType:
                        answer = await answer
                    answer = check_answer(answer, gives_output)
                except (Exception, asyncio.CancelledError, GeneratorExit) as error:
                    answer = make_failure(leave_out_caller(error))
                if not hold.was_lent:
                    seconds = time() - started if watch is None else watch.read()
                    if isinstance(answer, NodeResult):
                        observe(seconds, is_overload(answer), answer.success)
                    else:
                        observe(seconds, False)
                return answer
            finally:
                if holds is not None:
                    holds.remove(hold)
                # Raises in the context of the garbage collector, so that what is left of a closed
                # loop does not give back a permit that has been forgotten.
                _innermost.reset(token)
                if not hold._ended:  # it is given back while outputs wait
                    hold.give_back()

        return Bound(call_with_permit, gives_output or observe is not None)


class AdaptiveLimitNode(LimitNode):
    """A node that reports the duration of each execution, and any overload, to its limit.

    If nodes inside worked with the permit, they report instead.
    """

    def __init__(self, node: NodeLike, shared: AdaptiveLimit) -> None:
        super().__init__(node, shared)
        self._observe = shared._observe


class _Hold:
    """A permit that a node holds, and lends to the nodes inside it that ask for the same limit.

    One of them works with the holder's own permit, the others ask the limit for more. While any of
    them works or waits, one permit stays inside: a node that gives it back passes it on to the next
    one that waits, or to the holder. So no holder ever has to wait for its own permit.
    """

    # Of the class, because few holds lend their permit, and each item makes one.
    _working = 0
    _ended = False
    was_lent = False
    _waiters: deque[asyncio.Future[None]] | None = None

    def __init__(
        self, shared: ConcurrencyLimit, lender: ConcurrencyLimit | _Hold, outer: _Hold | None
    ) -> None:
        self._shared = shared
        self._lender = lender
        self._outer = outer

    def _take(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Take a permit for a node inside, if there is one: the holder's own, or one more."""
        self.was_lent = True
        if (self._working or self._find_waiter()) and not self._shared._take(loop):
            return False
        self._working += 1
        return True

    async def acquire(self) -> None:
        """Get a permit for a node inside."""
        if self._take(asyncio.get_running_loop()):
            return
        waiter = self._shared._queue()
        if self._waiters is None:
            self._waiters = deque()
        self._waiters.append(waiter)
        try:
            await waiter
        except BaseException:
            with suppress(ValueError):  # one that was cancelled may have been left out already
                self._waiters.remove(waiter)
            if not was_handed_over(waiter):
                self._shared._leave(waiter)
            elif not waiter.get_loop().is_closed():
                self._pass_on()
            raise
        self._waiters.remove(waiter)
        self._working += 1

    def release(self) -> None:
        """Give back the permit of a node inside."""
        self._working -= 1
        self._pass_on()

    def give_back(self) -> None:
        """Give back the holder's own permit."""
        self._ended = True
        if not self.was_lent or not (self._working or self._find_waiter()):
            self._lender.release()

    async def take_again(self) -> None:
        """Get a permit for the holder, which has given its own back."""
        if not self._working and not self._find_waiter():  # or it is still inside
            self._lender = _find_lender(self._shared, self._outer)
            await self._lender.acquire()
        self._ended = False

    def _pass_on(self) -> None:
        waiter = self._find_waiter()
        if self._working or (waiter is not None and waiter.done()):
            self._shared.release()
        elif waiter is not None:
            self._shared._leave(waiter)
            waiter.set_result(None)
        elif self._ended:
            self._lender.release()

    def _find_waiter(self) -> asyncio.Future[None] | None:
        while self._waiters and self._waiters[0].cancelled():
            self._waiters.popleft()
        return self._waiters[0] if self._waiters else None


def find_held_limits() -> frozenset[object]:
    """Return the limits of which the caller, or a node around it, holds a permit."""
    found = set()
    hold = _innermost.get()
    while hold is not None:
        if not hold._ended:
            found.add(hold._shared)
        hold = hold._outer
    return frozenset(found)


def _find_lender(shared: ConcurrencyLimit, hold: _Hold | None) -> ConcurrencyLimit | _Hold:
    """Return the lender of permits of a limit inside a hold: an outer hold, or the limit itself."""
    while hold is not None and (hold._shared is not shared or hold._ended):
        hold = hold._outer
    return shared if hold is None else hold


_innermost: ContextVar[_Hold | None] = ContextVar("nadoo_flow_limit", default=None)
