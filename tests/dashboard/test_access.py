"""Only those may use a dashboard who are meant to, and pages of others make no requests to it."""

from __future__ import annotations

from typing import Any

import pytest

from nadoo_flow import BatchProcessor
from nadoo_flow.dashboard import Dashboard
from nadoo_flow.dashboard.access import is_local_address

from ..stand_ins import double
from .client import HERE, ask

AWAY = ("203.0.113.7", 4000)


def board(**options: Any) -> Dashboard:
    return Dashboard(BatchProcessor(double), **options)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:80", "127.0.0.1:8000", "127.9.9.9", "[::1]:1"]
)
async def test_without_a_token_this_machine_may_look(host: str) -> None:
    assert (await ask(board(), headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.168.1.2",
        "0.0.0.0",
        "",
        "[::1",
        "localhost@evil.example",
        "[::]",
    ],
)
async def test_another_name_for_this_machine_is_refused_without_a_token(host: str) -> None:
    answer = await ask(board(), headers={"Host": host})
    assert (answer.status_code, "token" in answer.text) == (403, True)


async def test_another_machine_is_refused_without_a_token_whatever_host_it_names() -> None:
    assert (await ask(board(), client=AWAY)).status_code == 403


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Real-IP"])
async def test_what_comes_through_a_proxy_is_from_another_machine(header: str) -> None:
    assert (await ask(board(), headers={header: "127.0.0.1"})).status_code == 403


async def test_the_token_opens_the_page_from_everywhere_and_nothing_else_does() -> None:
    guarded = board(token="s e c/ret+&")
    for query, status in [
        ("?token=s%20e%20c%2Fret%2B%26", 200),
        ("?token=s%20e%20c%2Fret%2B%26&token=x", 403),
        ("?token=secret", 403),
        ("?token=", 403),
        ("?token=%ff%fe", 403),
        ("", 403),
    ]:
        for path in ("/", "/events"):
            answer = await ask(guarded, path + query, client=AWAY, headers={"Host": "runs.example"})
            assert answer.status_code == status
        # This machine needs it too.
        assert (await ask(guarded, query)).status_code == status


@pytest.mark.parametrize("token", [None, "secret"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:8001", "http://127.0.0.1", "", "http://["],
)
async def test_requests_of_other_origins_are_refused(
    token: str | None, method: str, origin: str
) -> None:
    guarded = board(token=token, control=True)
    for path in ("/", "/events", "/runs/1/drain"):
        answer = await ask(guarded, f"{path}?token={token}", method, {"Origin": origin})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


async def test_a_change_needs_an_origin_and_a_post() -> None:
    controlled = board(control=True)
    assert (await ask(controlled, "/runs/1/drain", "POST")).status_code == 403
    answer = await ask(controlled, "/runs/1/drain", "GET", {"Origin": HERE})
    assert answer.status_code == 405
    answer = await ask(controlled, "/runs/1/drain", "POST", {"Origin": HERE})
    assert (answer.status_code, answer.text) == (
        409,
        "the run has ended, or cannot be ended from here",
    )


async def test_a_header_that_comes_twice_counts_as_none() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    hosts = [(b"host", b"127.0.0.1"), (b"host", b"evil.example")]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": hosts}
    await board()({**scope, "client": ("127.0.0.1", 1)}, receive, send)
    assert sent[0]["status"] == 403


async def test_the_page_allows_itself_nothing_but_its_own_script_and_style() -> None:
    answer = await ask(board(token="secret"), "?token=secret")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "secret" not in answer.text
    page = answer.text.replace("http://www.w3.org/2000/svg", "")
    assert "http:" not in page
    assert "https:" not in page
    assert "innerHTML" not in page


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_what_other_machines_can_reach_is_known(host: str, local: bool) -> None:
    assert is_local_address(host) is local
