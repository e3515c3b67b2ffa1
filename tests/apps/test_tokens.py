"""The tokens of several answers as a real web server streams them."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest

from ..embedding.processes import PATIENCE
from ..interrupts import interruptible
from .printed import serve_app

pytestmark = [
    pytest.mark.asyncio(loop_factories=["real"]),
    pytest.mark.slow,
    pytest.mark.one_python,
]


async def test_the_app_as_it_is_printed_streams_and_ends_on_ctrl_c() -> None:
    with interruptible(), serve_app("tokens") as server:
        async with asyncio.timeout(PATIENCE), server.async_client() as client:
            answer = await client.post("/answers", json=["why not", "so"])
            seen = [
                json.loads(line.removeprefix("data: "))
                for line in answer.text.splitlines()
                if line.startswith("data: ")
            ]
            assert sorted((each["index"], each["token"]) for each in seen) == [
                (0, "NOT"),
                (0, "WHY"),
                (1, "SO"),
            ]
            assert "One prompt a line" in (await client.get("/")).text
            server.running.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(server.end) == 0
    assert "Traceback" not in "".join(server.said)
