"""Where tasks wait, in words."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any

PACKAGE = f"{Path(__file__).parent.parent}{os.sep}"

STEPS = frozenset(
    {"anext_awaitable", "async_generator_asend", "async_generator_athrow", "coroutine_wrapper"}
)
"""Types between what awaits and what it awaits, that do not say what that is."""


def describe_tasks(tasks: Iterable[asyncio.Task[Any]]) -> list[str]:
    """Name tasks and where they wait, one a line, sorted by their names."""
    return sorted(describe_task(task) for task in tasks)


def describe_task(task: asyncio.Task[Any]) -> str:
    """Name a task and where it waits: the calls that it is in, outermost first."""
    frames = list(_follow(task.get_coro()))
    # What the engine does around a node says nothing about the node.
    own = [frame for frame in frames if not frame.f_code.co_filename.startswith(PACKAGE)]
    calls = " > ".join(describe_frame(frame) for frame in own or frames)
    return f"task {task.get_name()!r} waits in {calls or 'no known place'}"


def describe_frame(frame: FrameType) -> str:
    """Name a function and the line at which it is."""
    path = Path(frame.f_code.co_filename)
    return f"{frame.f_code.co_qualname} ({path.parent.name}/{path.name}:{frame.f_lineno})"


def _follow(awaited: object) -> Iterator[FrameType]:
    """Give the frames in which something is suspended, outermost first."""
    while awaited is not None:
        match awaited:
            case CoroutineType():
                frame, awaited = awaited.cr_frame, awaited.cr_await
            case GeneratorType():
                frame, awaited = awaited.gi_frame, awaited.gi_yieldfrom
            case AsyncGeneratorType():
                frame, awaited = awaited.ag_frame, awaited.ag_await
            case _ if type(awaited).__name__ in STEPS:
                awaited = next(filter(_is_awaited, gc.get_referents(awaited)), None)
                continue
            case _:
                return
        if frame is None:
            return
        yield frame
        awaited = _find_stepped(frame) or awaited


def _is_awaited(inner: object) -> bool:
    return isinstance(inner, (CoroutineType, AsyncGeneratorType)) or type(inner).__name__ in STEPS


def _find_stepped(frame: FrameType) -> object:
    """Return the coroutine that a frame of the engine steps by itself, as its lanes do."""
    if not frame.f_code.co_filename.startswith(PACKAGE):
        return None
    for value in frame.f_locals.values():
        if isinstance(value, CoroutineType) and value.cr_suspended:
            return value
    return None
