"""A dashboard is served in the background of a loop, and stops when it is closed."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from nadoo_flow import BatchProcessor
from nadoo_flow.dashboard import Dashboard

from ..stand_ins import assert_only_the_caller_runs, double, raised_by

pytestmark = [pytest.mark.asyncio(loop_factories=["real"]), pytest.mark.slow]


async def test_it_is_served_on_this_machine_until_it_is_closed() -> None:
    dashboard = Dashboard(BatchProcessor(double))
    async with await dashboard.serve() as server, httpx.AsyncClient() as client:
        assert server.url.startswith("http://127.0.0.1:")
        assert server.url in repr(server)
        assert f'href="{server.url}"' in server._repr_html_()
        assert (await client.get(server.url)).status_code == 200
        evil = await client.get(server.url, headers={"Host": "evil.example"})
        assert evil.status_code == 403
    async with httpx.AsyncClient() as client:
        assert isinstance(await raised_by(client.get(server.url)), httpx.ConnectError)
    await server.aclose()
    assert_only_the_caller_runs()


@pytest.mark.parametrize("host", ["0.0.0.0", "::1"])
async def test_another_address_gets_a_token(host: str) -> None:
    dashboard = Dashboard(BatchProcessor(double))
    try:
        server = await dashboard.serve(host)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    async with server, httpx.AsyncClient() as client:
        assert (await client.get(server.url)).status_code == 200
        token = parse_qs(urlsplit(server.url).query).get("token", [None])[0]
        assert token == dashboard.token
        assert (token is None) == (host == "::1")
        if token is not None:
            assert (await client.get(server.url.partition("?")[0])).status_code == 403


async def test_a_page_that_is_open_gets_the_end_and_does_not_hold_it_up() -> None:
    processor = BatchProcessor(double)
    dashboard = Dashboard(processor)
    server = await dashboard.serve()
    async with (
        httpx.AsyncClient() as client,
        client.stream("GET", f"{server.url}events") as answer,
    ):
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 250"
        await processor.batch(range(3))
        async with asyncio.timeout(5):
            await server.aclose()
        rest = [line async for line in lines]
    assert any('"state":"completed"' in line for line in rest)
    assert dashboard.open_pages == 0
    # It can be served again.
    async with await dashboard.serve() as server:
        pass
    assert_only_the_caller_runs()


async def test_two_servers_cannot_have_one_port() -> None:
    dashboard = Dashboard(BatchProcessor(double))
    async with await dashboard.serve() as server:
        port = urlsplit(server.url).port
        assert port is not None
        error = await raised_by(dashboard.serve(port=port))
    assert isinstance(error, OSError)
    assert_only_the_caller_runs()


async def test_who_is_cancelled_while_it_starts_leaves_no_server() -> None:
    dashboard = Dashboard(BatchProcessor(double))
    starting = asyncio.ensure_future(dashboard.serve())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting])
    async with asyncio.timeout(5):
        while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_program_may_end_without_closing_it() -> None:
    program = """
import asyncio, httpx
from nadoo_flow import BatchProcessor
from nadoo_flow.dashboard import Dashboard

async def main():
    server = await Dashboard(BatchProcessor(len)).serve()
    async with httpx.AsyncClient() as client:
        print((await client.get(server.url)).status_code)

asyncio.run(main(), debug=False)
"""
    ended = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", program),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        said = await ended.communicate()
    assert (*said, ended.returncode) == (b"200\n", b"", 0)


async def test_it_says_nothing_in_the_log_of_its_program(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        server = await Dashboard(BatchProcessor(double)).serve()
        async with server, httpx.AsyncClient() as client:
            await client.get(server.url)
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []
