"""Draw the picture of the front page: ``python -m tests.manual.picture``.

Time is virtual, so the picture of the run is the same everywhere.
"""

from __future__ import annotations

import asyncio

from nadoo_flow import FilterNode, MapNode, Trace
from nadoo_flow.testing import VirtualTimeLoop

from .pages import PACKAGE

PICTURE = PACKAGE / "tracing" / "run.svg"


async def fetch(page: int) -> int:
    """Take 0.5 s to 1.5 s for a page."""
    await asyncio.sleep(0.5 + page * 7 % 5 / 4)
    return page


async def summarize(page: int) -> int:
    """Take 1 s to 3 s for a page, and fail on one of them."""
    await asyncio.sleep(1 + page * 5 % 7 / 3)
    if page == 8:
        raise ConnectionError("reset by peer")
    return page


async def draw() -> str:
    """Return the marble diagram of twenty pages that go through a chain."""
    chain = (
        MapNode("fetch", fetch, output_key="pages", max_concurrency=3)
        | FilterNode("keep", lambda page: page % 5 != 4, "pages", "kept")
        | MapNode("summarize", summarize, "kept", max_concurrency=4, continue_on_error=True)
    )
    trace = Trace()
    await chain.run({"items": range(20)}, trace=trace)
    return trace.marbles().svg


def draw_in_virtual_time() -> str:
    """Return the same, without waiting for it."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(draw())


if __name__ == "__main__":
    PICTURE.write_text(draw_in_virtual_time(), encoding="utf-8")
