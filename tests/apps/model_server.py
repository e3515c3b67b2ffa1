"""A server that answers as the big APIs do, and keeps books on what it was asked.

It has limits on requests and tokens in a minute. At certain calls it refuses all for a while,
answers with an error, answers slowly, loses the connection in the middle of an answer, or dies.

Usage: ``python -m tests.apps.model_server MINUTE``; it prints its URL.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from notebooks.apps.enrich import REQUESTS, TOKENS

LATENCY = 0.03
"""Seconds that an answer takes."""
SLOW = 1.5
"""Minutes that a slow one takes."""
REFUSALS, RETRY_AFTER = (350, 500), 1.0
"""The calls at which all calls are refused, and for how many minutes."""
DEATH, DEAD = 750, 0.6
"""The call at which the server dies, and for how many minutes it is dead."""


@dataclass
class Call:
    """A call that was not refused.

    Attributes:
        time: Seconds, by the clock of the loop.
        prompt: What was asked.
        tokens: What it was charged, at first the most that it can be.
    """

    time: float
    prompt: str
    tokens: int


@dataclass
class Closure:
    """A time in which no call was answered.

    Attributes:
        begin: Seconds, by the clock of the loop.
        end: The same.
        calls: How many came all the same.
    """

    begin: float
    end: float
    calls: int = 0


@dataclass
class Books:
    """What the server was asked.

    Attributes:
        calls: The calls that were not refused.
        answers: How often each prompt was answered.
        peaks: Most requests and tokens that a minute was charged.
        over: Calls that were refused because the limits had no room for them.
        refusing: When all calls were refused.
        dead: When the server was dead.
        troubles: How many calls ended in an error, were slow, or lost their connection.
    """

    calls: list[Call] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    peaks: list[int] = field(default_factory=lambda: [0, 0])
    over: int = 0
    refusing: list[Closure] = field(default_factory=list)
    dead: list[Closure] = field(default_factory=list)
    troubles: dict[str, int] = field(default_factory=lambda: {"error": 0, "slow": 0, "lost": 0})


class StatusError(Exception):
    """The answer is a status.

    Args:
        status: Its number and its name.
        retry_after: Seconds.
    """

    def __init__(self, status: str, retry_after: float | None = None) -> None:
        super().__init__(status)
        self.head = f"{status}\r\n"
        if retry_after is not None:
            self.head += f"Retry-After: {retry_after:g}\r\n"


class LostError(Exception):
    """The answer breaks off behind its argument."""


def make_answer(prompt: str) -> str:
    """Return the answer to a prompt."""
    name = prompt.split()[0]
    return f"This is about {name}{' and so on' * (7 + zlib.crc32(prompt.encode()) % 5)}"


class ModelServer:
    """Answers prompts within limits, and has its bad moments.

    Args:
        minute: Seconds that stand for a minute.
    """

    def __init__(self, minute: float) -> None:
        self.books = Books()
        self._minute = minute
        self._time = asyncio.get_running_loop().time
        self._oldest = 0  # the first call of this minute
        self._tokens = 0  # in this minute
        self._connections: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection."""
        self._connections.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
                    body = await reader.readexactly(int(length[1]) if length else 0)
                    await self._respond(head, body, writer)
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _respond(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        status, answer = "200 OK\r\n", b"{}"
        try:
            is_question = head.startswith(b"POST /answers ")
            data = await self._answer(**json.loads(body)) if is_question else asdict(self.books)
            answer = json.dumps(data).encode()
        except StatusError as error:
            status = error.head
        except LostError as error:
            writer.write(*error.args)
            await writer.drain()
            writer.transport.abort()
            return
        writer.write(f"HTTP/1.1 {status}Content-Length: {len(answer)}\r\n\r\n".encode() + answer)
        await writer.drain()

    async def _answer(self, prompt: str, longest: int) -> dict[str, Any]:
        now = self._time()
        self._turn_away(now)
        number, words = len(self.books.calls), len(prompt.split())
        call = self._charge(Call(now, prompt, words + longest))
        self._close(number, now)
        if number % 50 == 7:
            self.books.troubles["error"] += 1
            raise StatusError("500 Internal Server Error")
        is_slow = number % 97 == 5
        self.books.troubles["slow"] += is_slow
        await asyncio.sleep(SLOW * self._minute if is_slow else LATENCY)
        if number % 71 == 3:
            self.books.troubles["lost"] += 1
            raise LostError(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf an ans")
        answer = make_answer(prompt)
        used = words + len(answer.split())
        if number >= self._oldest:
            self._tokens -= call.tokens - used
        call.tokens = used
        self._note_answer(prompt)
        return {"answer": answer, "tokens": used}

    def _turn_away(self, now: float) -> None:
        """Refuse a call while the server is closed."""
        for closure in self.books.dead:
            if now < closure.end:
                closure.calls += 1
                raise LostError(b"")
        for closure in self.books.refusing:
            if now < closure.end:
                closure.calls += 1
                raise StatusError("429 Too Many Requests", closure.end - now)

    def _charge(self, call: Call) -> Call:
        """Charge a call, or refuse it if the limits have no room for it."""
        books = self.books
        while self._oldest < len(books.calls) and (
            books.calls[self._oldest].time <= call.time - self._minute
        ):
            self._tokens -= books.calls[self._oldest].tokens
            self._oldest += 1
        requests, tokens = len(books.calls) - self._oldest + 1, self._tokens + call.tokens
        if requests > REQUESTS or tokens > TOKENS:
            books.over += 1
            raise StatusError("429 Too Many Requests", self._minute / 10)
        books.calls.append(call)
        self._tokens = tokens
        books.peaks = [max(books.peaks[0], requests), max(books.peaks[1], tokens)]
        return call

    def _close(self, number: int, now: float) -> None:
        """Close for a while at certain calls."""
        if number in REFUSALS:
            self.books.refusing.append(Closure(now, now + RETRY_AFTER * self._minute))
            print(f"refusing for the {len(self.books.refusing)}. time", flush=True)
            raise StatusError("429 Too Many Requests", RETRY_AFTER * self._minute)
        if number == DEATH:
            self.books.dead.append(Closure(now, now + DEAD * self._minute))
            for connection in self._connections:
                connection.transport.abort()

    def _note_answer(self, prompt: str) -> None:
        answers = self.books.answers
        answers[prompt] = answers.get(prompt, 0) + 1
        if answers[prompt] == 1 and len(answers) % 100 == 0:
            print(f"{len(answers)} prompts are answered", flush=True)


async def main() -> None:
    """Serve on a free port until killed."""
    model = ModelServer(float(sys.argv[1]))
    server = await asyncio.start_server(model.serve, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
