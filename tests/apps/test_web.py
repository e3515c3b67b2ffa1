"""Results streamed by a real web server to clients that stay, leave, or do not read."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from ..embedding.processes import PATIENCE, WebServer
from ..interrupts import interruptible
from .printed import serve_app

pytestmark = [
    pytest.mark.asyncio(loop_factories=["real"]),
    pytest.mark.slow,
    pytest.mark.one_python,
]

LIMIT = 20
"""What the clients of the program share."""
LANES = 5
"""What each run of the program has."""


async def results(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """Read the data of server-sent events."""
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def reached(client: httpx.AsyncClient, count: str, n: int) -> dict[str, int]:
    return (await client.get(f"/reached/{count}/{n}")).json()


async def test_each_result_is_sent_as_an_event_the_moment_it_is_there(
    web_server: WebServer,
) -> None:
    async with (
        asyncio.timeout(PATIENCE),
        web_server.async_client() as client,
        client.stream("POST", "/batch", json=["one", "two", "line\nbreak"]) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        for prompt, index in (("two", 1), ("line\nbreak", 2), ("one", 0)):
            await client.post(f"/gates/{quote(prompt)}")
            result = {"index": index, "output": prompt.upper(), "error": None}
            frame = [await anext(lines) for _ in range(3)]
            assert frame == [f"data: {json.dumps(result)}", f"id: {index}", ""]
        assert [line async for line in lines] == []


async def test_fifty_clients_share_a_limit_exactly_and_each_gets_its_own_results(
    web_server: WebServer,
) -> None:
    async def received(number: int) -> list[str]:
        prompts = [f"client {number} prompt {item}" for item in range(10)]
        async with client.stream("POST", "/batch", json=prompts) as answer:
            return sorted([result["output"] async for result in results(answer)])

    async with asyncio.timeout(PATIENCE), web_server.async_client() as client:
        async with asyncio.TaskGroup() as group:
            clients = [group.create_task(received(number)) for number in range(50)]
            # Every client has asked for as many permits as it can, and they have been handed out.
            counts = await reached(client, "started", 50 * LANES)
            assert counts["running"] == LIMIT
            web_server.running.send_signal(signal.SIGUSR1)
        for number, task in enumerate(clients):
            assert task.result() == [f"CLIENT {number} PROMPT {item}" for item in range(10)]
        idle = (await client.get("/idle")).json()
    assert idle == {
        "running": 0,
        "peak": LIMIT,
        "started": 500,
        "answered": 500,
        "cancelled": 0,
        "permits": 0,
    }


async def test_a_client_that_goes_away_cancels_its_run_and_no_other(web_server: WebServer) -> None:
    async with asyncio.timeout(PATIENCE), web_server.async_client() as client:
        async with client.stream("POST", "/batch", json=["stays"]) as staying:
            async with client.stream("POST", "/batch", json=["gets", *"abcdefghi"]) as leaving:
                await client.post("/gates/gets")
                assert (await anext(results(leaving)))["output"] == "GETS"
                await reached(client, "running", 1 + LANES)
            counts = await reached(client, "cancelled", LANES)
            assert counts["running"] == 1
            assert set((await client.get("/cancelled")).json()) == set("abcde")
            await client.post("/gates/stays")
            assert [result["output"] async for result in results(staying)] == ["STAYS"]
        idle = (await client.get("/idle")).json()
    # What had no lane yet was never started.
    assert (idle["started"], idle["answered"], idle["permits"]) == (2 + LANES, 2, 0)


async def test_a_client_that_does_not_read_stalls_its_run_and_ends_it_by_going_away(
    web_server: WebServer,
) -> None:
    prompts = json.dumps(["waits", *(f"large {number}" for number in range(200))])
    head = (
        "POST /batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(prompts)}\r\n\r\n"
    )
    async with asyncio.timeout(PATIENCE), web_server.async_client() as client:
        with socket.socket() as unread:
            unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            unread.connect(("127.0.0.1", client.base_url.port))
            unread.sendall((head + prompts).encode())
            await reached(client, "answered", 4 * LANES - 1)
        await reached(client, "cancelled", 1)
        idle = (await client.get("/idle")).json()
    # Each answer is a megabyte; what was sent lies in the buffers of the system.
    assert idle["answered"] < 100
    assert idle["permits"] == 0


async def test_a_request_that_is_wrong_starts_no_run(web_server: WebServer) -> None:
    async with asyncio.timeout(PATIENCE), web_server.async_client() as client:
        assert (await client.post("/batch", json={"prompt": "one"})).status_code == 422
        assert (await client.get("/idle")).json()["started"] == 0


async def test_answers_within_the_grace_time_are_sent_before_the_server_ends(
    web_server: WebServer,
) -> None:
    async with (
        asyncio.timeout(PATIENCE),
        web_server.async_client() as client,
        client.stream("POST", "/batch", json=["one", "two"]) as answer,
    ):
        await reached(client, "running", 2)
        web_server.running.terminate()
        await asyncio.to_thread(web_server.wait_for, "Waiting for connections to close")
        web_server.running.send_signal(signal.SIGUSR1)
        assert sorted([r["output"] async for r in results(answer)]) == ["ONE", "TWO"]
    assert await asyncio.to_thread(web_server.end) == -signal.SIGTERM
    assert "Cancel" not in "".join(web_server.said)


async def test_rule_r50_on_shutdown_answers_in_work_are_sent_and_no_others_are_begun(
    web_server: WebServer,
) -> None:
    prompts = [f"prompt {number}" for number in range(3 * LANES)]
    async with (
        asyncio.timeout(PATIENCE),
        web_server.async_client() as client,
        client.stream("POST", "/batch", json=prompts) as answer,
    ):
        await reached(client, "running", LANES)
        web_server.running.terminate()
        await asyncio.to_thread(web_server.wait_for, "Waiting for connections to close")
        web_server.running.send_signal(signal.SIGUSR1)
        assert sorted([r["index"] async for r in results(answer)]) == list(range(LANES))
    assert await asyncio.to_thread(web_server.end) == -signal.SIGTERM


async def test_what_outlives_the_grace_time_is_cancelled_and_cleaned_up() -> None:
    with WebServer("tests.apps.web_server:app", "--timeout-graceful-shutdown", "1") as server:
        async with (
            asyncio.timeout(PATIENCE),
            server.async_client() as client,
            client.stream("POST", "/batch", json=["one", "two", "three"]) as answer,
        ):
            await client.post("/gates/one")
            seen = results(answer)
            assert (await anext(seen))["output"] == "ONE"
            server.running.terminate()
            with pytest.raises(httpx.RemoteProtocolError):
                await anext(seen)
        assert await asyncio.to_thread(server.end) == -signal.SIGTERM
    cleaned_up = [line for line in server.said if line.startswith("cleaned up")]
    assert sorted(cleaned_up) == ["cleaned up three\n", "cleaned up two\n"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, -15)])
async def test_the_app_as_it_is_printed_drains_on_both_signals(
    number: signal.Signals, status: int
) -> None:
    with interruptible(), serve_app("web") as server:
        async with (
            asyncio.timeout(PATIENCE),
            server.async_client() as client,
            client.stream("POST", "/batch", json=["hello", *["three"] * 20]) as answer,
        ):
            seen = results(answer)
            first = await anext(seen)
            assert first == {"index": 0, "output": "HELLO", "error": None}
            server.running.send_signal(number)
            assert 0 < len([result async for result in seen]) < 2 * LANES
        assert await asyncio.to_thread(server.end) == status
    assert "Traceback" not in "".join(server.said)
