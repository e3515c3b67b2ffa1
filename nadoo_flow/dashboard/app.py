"""The answers of a dashboard: the page, its updates, and the end of runs. It needs starlette."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from ..streams.valve import begin_draining
from .boards import Board
from .page_file import HEADERS, load_page
from .updates import Updates

ACTIONS: dict[str, float | None] = {"drain": None, "cancel": 0.0}
"""What the buttons do to a run: the seconds in which it may finish what it has started."""


def make_app(boards: Sequence[Board], updates: Updates, *, control: bool) -> Starlette:
    """Make the app that answers requests which are not refused.

    Args:
        boards: Where runs are found.
        updates: What open pages get.
        control: Whether runs may be ended.
    """

    async def send_page(request: Request) -> Response:
        page = load_page()
        return HTMLResponse(page.html, headers=page.headers)

    async def send_events(request: Request) -> Response:
        return StreamingResponse(updates.stream(), media_type="text/event-stream", headers=HEADERS)

    async def end_run(request: Request) -> Response:
        if not control:
            return _say(403, "this page only shows; pass control=True to Dashboard")
        action = request.path_params["action"]
        if action not in ACTIONS:
            return _say(404, "a run can be drained and cancelled")
        number = request.path_params["number"]
        for board in boards:
            meter = board.find_run(number)
            if meter is not None and (run := meter.run) is not None:
                begin_draining(run, ACTIONS[action])
                return _say(202, "the run is ending")
        return _say(409, "the run has ended, or cannot be ended from here")

    return Starlette(
        routes=[
            Route("/", send_page),
            Route("/events", send_events),
            Route("/runs/{number}/{action}", end_run, methods=["POST"]),
        ]
    )


def make_refusal(reason: str) -> Response:
    """Make the answer to a request that is refused."""
    return _say(403, reason)


def _say(status: int, words: str) -> Response:
    return PlainTextResponse(words, status, HEADERS)
