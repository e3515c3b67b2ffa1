"""Requests to a dashboard, without a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

from nadoo_flow.dashboard import Dashboard

HERE = "http://127.0.0.1:8000"


async def ask(
    dashboard: Dashboard,
    path: str = "/",
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    client: tuple[str, int] = ("127.0.0.1", 1),
) -> httpx.Response:
    """Send a request from an address, and wait for the whole answer."""
    transport = httpx.ASGITransport(app=dashboard, client=client)
    async with httpx.AsyncClient(transport=transport, base_url=HERE) as asking:
        return await asking.request(method, path, headers=headers)


async def act(dashboard: Dashboard, path: str, **headers: str) -> httpx.Response:
    """Press a button of the page."""
    return await ask(dashboard, path, "POST", {"Origin": HERE, **headers})


async def watch(dashboard: Dashboard) -> list[dict[str, Any]]:
    """Return the snapshots that a page gets until its stream ends."""
    answer = await ask(dashboard, "/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [
        json.loads(line.removeprefix("data: "))
        for line in answer.text.split("\n")
        if line.startswith("data: ")
    ]
