"""A context that finds out which of the steps taken in it hold the event loop."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeAlias

from .._support.preemption import watch_preemption
from .._support.tasks import make_transparent
from .turn import HELD

OnHeld: TypeAlias = Callable[[float], None]
"""Receives the seconds for which one step held the event loop."""


class TimedContext:
    """Calls functions in a context of their own, and reports a call that takes long.

    Args:
        context: Copied once for all calls.
        time: The clock of the loop.
        on_held: Called with the seconds of each call that takes longer than HELD.
    """

    def __init__(self, context: Context, time: Callable[[], float], on_held: OnHeld) -> None:
        self._context = context.copy()
        self._time = time
        self._on_held = on_held

    @make_transparent
    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function in the context."""
        was_preempted, began = watch_preemption(HELD), self._time()
        try:
            return self._context.run(function, *args)
        finally:
            seconds = self._time() - began
            if seconds > HELD and not was_preempted():
                self._on_held(seconds)
