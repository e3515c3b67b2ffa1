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
    ended: dict[int, Any] = {}
    snapshots: list[dict[str, Any]] = []
    for event in answer.text.split("\n\n"):
        kind, _, data = event.partition("\ndata: ")
        if kind == "event: ended":
            run = json.loads(data)
            assert run["number"] not in ended
            ended[run["number"]] = run
        elif kind == "event: message":
            snapshots.append(combine(json.loads(data), ended))
    return snapshots


def combine(snapshot: dict[str, Any], ended: Mapping[int, Any]) -> dict[str, Any]:
    """Put the runs that have ended into a snapshot, as the page does."""
    for board in snapshot["boards"]:
        board["runs"] = [*board["running"], *(ended[number] for number in board["ended"])]
    return snapshot


def look(dashboard: Dashboard) -> dict[str, Any]:
    """Take a snapshot as a page would get it now."""
    updates = dashboard._updates
    ended = {number: describe() for number, describe in updates._describe_ended().items()}
    return combine(json.loads(json.dumps(updates._take())), ended)
