"""The web app, with a node that answers when the test lets it, and counts what it does."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from nadoo_flow import Event, FunctionNode
from nadoo_flow.policies import limit
from notebooks.apps import web

CLEAN_UP = 0.1
"""Real seconds that an answer needs to end, so that whoever does not wait for it is found out."""


class Service:
    """Answers a prompt when its gate is open; a prompt that begins with "large" needs no gate.

    Attributes:
        running: Prompts that are being answered.
        peak: Most of them at a time.
        started: Prompts that have a lane, with or without a permit.
        answered: Prompts that got their answer.
        cancelled: Prompts that did not, and when their clean-up was over.
    """

    def __init__(self) -> None:
        self.running = self.peak = self.started = 0
        self.answered: list[str] = []
        self.cancelled: dict[str, float] = {}
        self._gates = defaultdict[str, asyncio.Event](asyncio.Event)
        self._all_open = False
        self._changed = asyncio.Event()

    async def answer(self, prompt: str) -> str:
        self.running += 1
        self.peak = max(self.peak, self.running)
        self.changed()
        try:
            if prompt.startswith("large"):
                self.answered.append(prompt)
                return prompt * 100_000
            if not self._all_open:
                await self._gates[prompt].wait()
            self.answered.append(prompt)
            return prompt.upper()
        except asyncio.CancelledError:
            await asyncio.sleep(CLEAN_UP)
            self.cancelled[prompt] = time.monotonic()
            print(f"cleaned up {prompt}", flush=True)
            raise
        finally:
            self.running -= 1
            self.changed()

    def open(self, prompt: str) -> None:
        self._gates[prompt].set()

    def open_all(self) -> None:
        self._all_open = True
        for gate in self._gates.values():
            gate.set()

    def on_event(self, event: Event) -> None:
        self.started += event.kind == "started"
        self.changed()

    def changed(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def reached(self, count: str, n: int) -> None:
        while self.counts()[count] < n:
            await self._changed.wait()

    def counts(self) -> dict[str, int]:
        return {
            "running": self.running,
            "peak": self.peak,
            "started": self.started,
            "answered": len(self.answered),
            "cancelled": len(self.cancelled),
        }


service = Service()
web.processor.node = FunctionNode(service.answer).pipe(limit(web.service))
web.processor.events.subscribe(service.on_event)
permanent: set[asyncio.Task[Any]] = set()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, service.open_all)
    permanent.update(asyncio.all_tasks())
    async with web.lifespan(app):
        yield


web.app.router.lifespan_context = lifespan
app = web.app


@app.post("/gates/{prompt}")
async def open_gate(prompt: str) -> None:
    service.open(prompt)


@app.get("/reached/{count}/{n}")
async def reached(count: str, n: int) -> dict[str, int]:
    """Answer when a count has reached a number."""
    await service.reached(count, n)
    return service.counts()


@app.get("/cancelled")
async def cancelled() -> dict[str, float]:
    return service.cancelled


@app.get("/idle")
async def idle() -> dict[str, int]:
    """Answer when no task is left but those of the server itself."""
    request = asyncio.current_task()
    while others := asyncio.all_tasks() - permanent - {request}:
        await asyncio.wait(others)
    return {**service.counts(), "permits": web.service.in_use}
