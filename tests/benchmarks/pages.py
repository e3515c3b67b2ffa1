"""Pages that read the updates of a dashboard, in a process of their own, as browsers do.

The process opens all of them for each line ``open`` that it gets, and closes them for ``close``.
"""

from __future__ import annotations

import asyncio
import sys
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


class Pages:
    """So many pages of a dashboard, of which all are open or none is.

    Args:
        dashboard: The dashboard.
        url: Where it is served.
        number: How many pages.
    """

    def __init__(self, dashboard: Any, url: str, number: int) -> None:
        self._dashboard = dashboard
        self._url = url
        self._number = number

    async def __aenter__(self) -> Self:
        command = [sys.executable, __file__, self._url, str(self._number)]
        self._reading = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._reading.kill()
        await self._reading.wait()

    async def open(self) -> None:
        """Open the pages, and wait until they are."""
        await self._have("open", self._number)

    async def close(self) -> None:
        """Close them, and wait until they are."""
        await self._have("close", 0)

    async def _have(self, word: str, number: int) -> None:
        assert self._reading.stdin is not None
        self._reading.stdin.write(f"{word}\n".encode())
        async with asyncio.timeout(30):
            while self._dashboard.open_pages != number:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def _read_updates(host: str, port: int) -> None:
    while True:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(f"GET /events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            while not (await reader.read(65_536)).endswith(b"0\r\n\r\n"):
                pass
        finally:
            writer.close()


async def _main(url: str, number: int) -> None:
    parts = urlsplit(url)
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    reading: list[asyncio.Task[None]] = []
    while line := await lines.readline():
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        reading = []
        if line == b"open\n":
            updates = [_read_updates(str(parts.hostname), parts.port or 80) for _ in range(number)]
            reading = [asyncio.create_task(each) for each in updates]


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
