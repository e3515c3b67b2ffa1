"""The crawler on a real site, with all that links may be."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from ..embedding.processes import PATIENCE
from ..interrupts import interruptible
from .printed import start_app

pytestmark = [
    pytest.mark.asyncio(loop_factories=["real"]),
    pytest.mark.slow,
    pytest.mark.one_python,
]

PAGES = 300
AT_MOST = 20
START = "https://docs.example.com/"
EXTRA = """
<a>no link</a> <a href="">itself</a> <a href="#below">a place on it</a> <A HREF='/1?x=1&amp;y=2#z'>
<a href="mailto:ada@example.com">mail</a> <a href="http://[broken">no address</a>
<a href="https://elsewhere.example/">away</a> <a href="/gone">gone</a> <a href="/moved">moved</a>
<a href="/leads-away">away</a> <a href="/picture">a picture</a> <a href="/busy">busy</a>
<a href="//elsewhere.example/">away</a> <a href="/round">round</a>
"""


class Site:
    """A site of linked pages, served over HTTP.

    Attributes:
        visits: How often each path was asked for.
        at_work: Requests that are being answered.
        peak: Most of them at a time.
        gate: All pages but the first come when it is open.
        full: As many requests as there may be are being answered.
    """

    def __init__(self) -> None:
        self.visits: Counter[str] = Counter()
        self.at_work = self.peak = 0
        self.gate, self.full = asyncio.Event(), asyncio.Event()

    def respond(self, path: str) -> tuple[str, str]:
        """Return the head and the body of the answer to a request."""
        if path == "/gone":
            return "404 Not Found\r\n", "gone"
        if path == "/busy" and self.visits[path] == 1:
            return "503 Service Unavailable\r\nRetry-After: 0\r\n", "busy"
        moved = {"/moved": "/2", "/leads-away": "https://elsewhere.example/", "/round": "/round"}
        if path in moved:
            return f"302 Found\r\nLocation: {moved[path]}\r\n", ""
        if path == "/picture":
            return "200 OK\r\nContent-Type: image/png\r\n", '<a href="/never">no page</a>'
        number = int(path[1:].split("?")[0] or 0) if path != "/busy" else 0
        near = random.Random(number).sample(range(PAGES), 5 if number else 2 * AT_MOST)
        links = "".join(f'<a href="{link}">{link}</a>' for link in [(number + 1) % PAGES, *near])
        return "200 OK\r\nContent-Type: text/html; charset=utf-8\r\n", links + EXTRA

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
                self.visits[path] += 1
                self.at_work += 1
                self.peak = max(self.peak, self.at_work)
                if self.at_work == AT_MOST:
                    self.full.set()
                if path != "/":
                    await self.gate.wait()
                await asyncio.sleep(0.001)
                self.at_work -= 1
                head, body = self.respond(path)
                size = f"Content-Length: {len(body)}\r\n"
                writer.write(f"HTTP/1.1 {head}{size}\r\n{body}".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    async with await asyncio.start_server(site.serve, "127.0.0.1", 0) as server:
        site.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        yield site


async def test_the_app_as_it_is_printed_visits_each_page_once_and_finds_what_is_broken(
    site: Site,
) -> None:
    with start_app("crawler", {START: site.url}) as app:
        async with asyncio.timeout(PATIENCE):
            await site.full.wait()
        site.gate.set()
        assert await asyncio.to_thread(app.end) == 1
    *broken, end = app.said
    reason = "HTTPStatusError: Client error '404 Not Found' for url"
    (line,) = broken
    assert line.startswith(f"{site.url}gone is broken, on {site.url}: {reason}")
    special = ["gone", "moved", "leads-away", "picture", "busy", "round", "1?x=1&y=2"]
    pages = [str(number) for number in range(PAGES)]
    assert site.visits == {
        **{f"/{path}": 1 for path in ["", *pages, *special]},
        "/busy": 2,
    }
    assert site.peak == AT_MOST
    assert end == f"{len(pages) + len(special)} pages were read; broken links: 1\n"


async def test_ctrl_c_ends_it_after_the_pages_that_are_being_read(site: Site) -> None:
    with interruptible(), start_app("crawler", {START: site.url}) as app:
        async with asyncio.timeout(PATIENCE):
            await site.full.wait()
            app.running.send_signal(signal.SIGINT)
            await asyncio.sleep(0.2)  # the signal arrives
            site.gate.set()
            status = await asyncio.to_thread(app.end)
    # The first page, those that were being read, and what was busy once more.
    assert 1 + AT_MOST <= site.visits.total() <= 2 + AT_MOST
    broken = site.visits["/gone"]
    assert status == broken
    end = f"{1 + AT_MOST - broken} pages were read; broken links: {broken}\n"
    assert app.said[-1] == end
