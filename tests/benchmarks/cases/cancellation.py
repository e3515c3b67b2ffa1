"""How long it takes until the last ``finally`` block of a cancelled run has ended.

Peers differ here in what they do, not only in how long it takes, so the table says what they leave.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import perf_counter

from ..model import Case, Outcome, Params, Run, milliseconds
from ..nodes import inputs, make_node
from ..shapes import Way
from ..ways import NODE_WAYS, contestants

GRACE = 1.0
"""Seconds until what still runs is said to run on."""


def _prepare(way: Way, params: Params) -> Run:
    n = params["n"]

    async def once() -> Outcome:
        node = make_node("wait")
        task = asyncio.create_task(way(node, n)(inputs(n)))
        while node.started < n:  # noqa: ASYNC110  # peers have no event for it
            await asyncio.sleep(0)
        started = perf_counter()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        on_return = n - node.ended
        while node.ended < n and perf_counter() - started < GRACE:  # noqa: ASYNC110
            await asyncio.sleep(0)
        seconds = perf_counter() - started
        left = {
            f"still running after {GRACE:g} s": n - node.ended,
            "still running on return": on_return,
            "with a clean-up that was broken off": node.ended - node.cleaned,
        }
        notes = [f"{count} items {what}" for what, count in left.items() if count]
        return Outcome(node.started, seconds, notes[0] if notes else "")

    return once


CASES = (
    Case(
        module=__name__,
        name="cancellation",
        title="Time from cancelling a run to the end of its items' clean-up",
        unit="ms",
        variants=({"n": 1_000},),
        contestants=contestants(NODE_WAYS, _prepare),
        expected=lambda params: params["n"],
        figure=milliseconds,
        steady=False,
    ),
)
