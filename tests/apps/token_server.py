"""The app that streams tokens, with a writer that waits for the words of the test."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable

from nadoo_flow import FunctionNode
from notebooks.apps import tokens

app = tokens.app
running: set[str] = set()
changed = asyncio.Condition()
left: list[str] = []
words: defaultdict[str, asyncio.Queue[str]] = defaultdict(asyncio.Queue)


async def write(prompt: str) -> AsyncIterator[str]:
    """Write the words that the test gives; an empty one ends the answer."""
    await change(running.add, prompt)
    try:
        while word := await words[prompt].get():
            yield word
    except asyncio.CancelledError:
        left.append(prompt)
        raise
    finally:
        await change(running.discard, prompt)


async def change(method: Callable[[str], None], prompt: str) -> None:
    async with changed:
        method(prompt)
        changed.notify_all()


tokens.answers.child_node = FunctionNode(write)


@app.post("/words/{prompt}/{word}")
async def give(prompt: str, word: str) -> None:
    words[prompt].put_nowait("" if word == "end" else word)


@app.get("/running/{n}")
async def wait_until(n: int) -> list[str]:
    """Answer when so many answers are being written, with those that were left."""
    async with changed:
        await changed.wait_for(lambda: len(running) == n)
    return left
