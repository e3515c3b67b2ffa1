"""The server of a dashboard, in the background of an event loop. It needs uvicorn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from html import escape
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import uvicorn

GRACE = 2
"""Whole seconds in which answers may end when the server is closed."""


class DashboardServer:
    """A server that was started by ``Dashboard.serve()``.

    Attributes:
        url: The address of the page, with its token if it has one.
    """

    def __init__(self, url: str, server: uvicorn.Server, task: asyncio.Task[None]) -> None:
        self.url = url
        self._server = server
        self._task = task

    async def aclose(self) -> None:
        """Stop the server, and close what pages have open; idempotent."""
        self._server.should_exit = True
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<DashboardServer: {self.url}>"

    def _repr_html_(self) -> str:
        url = escape(self.url)
        return f'<a href="{url}" target="_blank" rel="noopener">{url}</a>'


class _Server(uvicorn.Server):
    """Leaves signals to the program that it is a part of, and says when it starts and stops."""

    def __init__(self, config: uvicorn.Config, at_end: Callable[[], None]) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()
        self._at_end = at_end

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def serve_at(self, listening: socket.socket) -> None:
        """Serve until the server is to exit, or the task is cancelled."""
        with listening:
            await self.serve([listening])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._at_end()
        await super().shutdown(sockets)


async def start_server(
    app: Any, host: str, port: int, token: str | None, at_end: Callable[[], None]
) -> DashboardServer:
    """Start uvicorn in a task, and return when it listens.

    Args:
        app: The ASGI app.
        host: The address.
        port: The port; 0 for one that is free.
        token: What the URL carries.
        at_end: Called when the server is to stop, before it waits for answers that go on.
    """
    listening = _listen(host, port)
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    server = _Server(config, at_end)
    task = asyncio.create_task(server.serve_at(listening), name="dashboard")
    started = asyncio.create_task(server.listens.wait())
    try:
        await asyncio.wait([task, started], return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        server.should_exit = True
        raise
    finally:
        started.cancel()
    if task.done():
        await task
    query = f"?token={quote(token)}" if token else ""
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listening.getsockname()[1]}/{query}"
    return DashboardServer(url, server, task)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except BaseException:
        listening.close()
        raise
    return listening
