"""An event loop with virtual time that gives up a case which does not end."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from ..virtual_time import DeadlockError, VirtualTimeLoop
from .case import FOREVER
from .ledger import Ledger

TURNS = 20_000
"""Turns of the loop that no case may take."""

PATIENCE = 300.0
"""Virtual seconds within which a run that is asked to end has ended."""


class EndlessError(DeadlockError):
    """The loop turns, and the case does not end."""


class FuzzLoop(VirtualTimeLoop):
    """Gives a case up that takes too many turns, or too much virtual time."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        select, turns, threads = self._jumping.select, 0, threading.active_count()

        def counted(timeout: float | None = None) -> Any:
            nonlocal turns
            turns += 1
            if turns > TURNS:
                raise EndlessError(f"it turns for ever, since {self.time():g} s")
            # A thread has a moment of real time before virtual time passes.
            foreign = timeout and threading.active_count() > threads
            if foreign and (ready := self._jumping._real.select(0.002)):
                return ready
            events = select(timeout)
            asked = ledger.asked_at
            if self.time() >= FOREVER / 2 or (asked is not None and self.time() > asked + PATIENCE):
                raise EndlessError("it does not end in time")
            return events

        self._jumping.select = counted  # type: ignore[method-assign]


def describe_waiting(loop: FuzzLoop) -> list[str]:
    """Say where the tasks of a loop wait."""
    lines = []
    for task in asyncio.all_tasks(loop):
        frames = task.get_stack(limit=1)
        where = f"{frames[0].f_code.co_filename}:{frames[0].f_lineno}" if frames else "nowhere"
        lines.append(f"  waits: {getattr(task.get_coro(), '__qualname__', '?')} at {where}")
    return sorted(lines)
