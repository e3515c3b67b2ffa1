"""Marble diagrams as inputs and as expectations, on the clock of the event loop."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from difflib import ndiff
from itertools import groupby
from typing import Any, cast

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.observable.marbles import parse

from .._support.checks import check_positive_number, describe_value
from ..streams import Source
from .signals import Signal, make_signal, watch
from .virtual_loop import VirtualTimeLoop

PARENTHESES = re.compile(r"(?:[^()]|\([^()]*\))*")
"""What has its parentheses in pairs, and none inside of another."""


def marbles(
    diagram: str,
    values: Mapping[Any, Any] | None = None,
    *,
    error: Exception | None = None,
    step: float = 1.0,
) -> Marbles:
    """Make a source, or an expectation, of a marble diagram.

    The syntax is that of ``reactivex.from_marbles``: ``-`` lets one step pass, ``|`` completes and
    ``#`` fails, anything else is an item, and ``(a,b)`` are items at the same time. Each character
    takes a step, those of a group too. Spaces take none. What is a number becomes one. A diagram
    without ``|`` or ``#`` never ends.

    Args:
        diagram: Such as ``"a-b-|"``, which emits ``"a"`` at once, ``"b"`` after two steps, and
            completes after four.
        values: What the items stand for; those that are not in it stand for themselves.
        error: What ``#`` raises, or is expected to be, of the same type and arguments. By default
            it raises an ``Exception("error")``, and any error is expected.
        step: Seconds for each character.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If the diagram is wrong: something follows its end, or a parenthesis is open.

    Example:
        >>> from nadoo_flow import MapNode
        >>> from nadoo_flow.testing import virtual_time
        >>> stage = MapNode("slow", lambda item: asyncio.sleep(0.5, item.upper()))
        >>> async def main() -> None:
        ...     await marbles("-A---B|", step=0.5).expect(stage.observe(marbles("a-b|")))
        >>> with asyncio.Runner(loop_factory=virtual_time) as runner:
        ...     runner.run(main())
    """
    if not isinstance(diagram, str):
        raise TypeError(f"diagram must be a str, got {describe_value(diagram)}")
    if not PARENTHESES.fullmatch(diagram):
        raise ValueError(f"diagram must have its parentheses in pairs, got {diagram!r}")
    if values is not None and not isinstance(values, Mapping):
        raise TypeError(f"values must be a mapping, got {describe_value(values)}")
    if error is not None and not isinstance(error, Exception):
        raise TypeError(f"error must be an exception, got {describe_value(error)}")
    step = check_positive_number(step, "step")
    parsed = parse(diagram, step, lookup=values, error=error, raise_stopped=True)
    signals = [make_signal(cast(float, time), notification) for time, notification in parsed]
    return Marbles(signals, error is None, len(diagram.replace(" ", "")), step)


class Marbles(Observable[Any]):
    """A marble diagram; :func:`marbles` makes it.

    As an Observable it emits at its times, whether or not that is wanted. ``aiter(...)`` of it is
    an async iterator, which is pulled: one who comes late gets an item at once. Each subscription
    and each iterator begins the diagram anew, and needs a running loop.

    Args:
        signals: What it emits, and when.
        expects_any_error: Whether any error is as good as that of the diagram.
        length: How many steps the diagram takes.
        step: Seconds for each.

    Example:
        >>> async def collect():
        ...     return [item async for item in marbles("a-b-|")]
        >>> with asyncio.Runner(loop_factory=virtual_time) as runner:
        ...     runner.run(collect())
        ['a', 'b']
    """

    def __init__(
        self, signals: list[Signal], expects_any_error: bool, length: int, step: float
    ) -> None:
        super().__init__(self._emit)
        self._signals = signals
        self._expects_any_error = expects_any_error
        self._length = length
        self._step = step

    async def __aiter__(self) -> AsyncIterator[Any]:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for signal in self._signals:
            await asyncio.sleep(begin + signal.time - loop.time())
            if signal.kind == "completed":
                return
            if signal.kind == "error":
                raise signal.value
            yield signal.value
        await loop.create_future()

    async def expect(self, source: Source[Any]) -> None:
        """Assert that a source emits what the diagram says, at these times from now on.

        It is watched until it ends, at most for the time of the diagram and a step more. Then it is
        left: disposed of, or closed. It needs a loop with virtual time.

        Args:
            source: An Observable or an async iterable.

        Raises:
            AssertionError: If it does not. The text shows the signals that are missing (``-``) and
                those that came instead (``+``).
            RuntimeError: If the running loop has no virtual time.
            TypeError: If ``source`` is neither an Observable nor an async iterable.
        """
        if not isinstance(asyncio.get_running_loop(), VirtualTimeLoop):
            raise RuntimeError("expect() needs a loop with virtual time: loop_factory=virtual_time")
        is_endless = not self._signals or self._signals[-1].kind == "next"
        frames = self._length - 0.5 if is_endless else self._length + 0.5
        seen = await watch(source, frames * self._step)
        if len(seen) == len(self._signals) and all(
            expected.matches(signal, self._step, self._expects_any_error)
            for expected, signal in zip(self._signals, seen, strict=True)
        ):
            return
        expected_lines = [signal.describe() for signal in self._signals]
        lines = ndiff(expected_lines, [signal.describe() for signal in seen])
        difference = [line for line in lines if not line.startswith("?")]
        raise AssertionError("\n".join(["other signals than expected:", *difference]))

    def _emit(
        self, observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        groups = [list(group) for _, group in groupby(self._signals, lambda signal: signal.time)]
        timer: asyncio.TimerHandle | None = None

        # One timer after the other, since two at the same time may fire in any order.
        def arm(position: int) -> None:
            nonlocal timer
            if position < len(groups):
                timer = loop.call_at(begin + groups[position][0].time, deliver, position)

        def deliver(position: int) -> None:
            # Armed before, so that an observer that disposes of it now cancels it.
            arm(position + 1)
            for signal in groups[position]:
                signal.deliver(observer)

        def dispose() -> None:
            if timer is not None:
                timer.cancel()

        arm(0)
        return Disposable(dispose)
