"""Running a block of code of the manual as it is printed."""

from __future__ import annotations

import ast
import asyncio
import inspect
import threading
from collections.abc import Awaitable
from typing import Any

import pytest

from nadoo_flow.testing import VirtualTimeLoop

from .pages import Block

WORKERS = "nadoo_flow.executors"
"""What is imported by the blocks whose work is done elsewhere, in real time."""


def run_as_script(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a block in a namespace of its own; it may await at its top level.

    Time is virtual, except where other processes work.
    """
    real_loop = asyncio.events.new_event_loop
    make_loop = real_loop if WORKERS in block.code else VirtualTimeLoop

    def new_event_loop() -> asyncio.AbstractEventLoop:
        here = threading.current_thread() is threading.main_thread()
        return make_loop() if here else real_loop()

    # asyncio.run inside a block takes its loop from here, and so do the threads of other packages.
    monkeypatch.setattr(asyncio.events, "new_event_loop", new_event_loop)
    code = compile(
        "\n" * block.line + block.code,  # so that a traceback shows the line of the page
        block.page,
        "exec",
        flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        dont_inherit=True,
    )
    answer: Any = eval(code, {"__name__": "__main__"})
    if inspect.isawaitable(answer):
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(_leaving_no_task(answer))


async def _leaving_no_task(work: Awaitable[object]) -> None:
    await work
    await asyncio.sleep(1)  # what was disposed, as by ops.take, ends soon and is not awaited
    assert asyncio.all_tasks() == {asyncio.current_task()}
