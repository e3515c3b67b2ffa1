"""Real servers, each in a process of its own and stopped after its test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .processes import RedisServer, WebServer


@pytest.fixture
def web_server() -> Iterator[WebServer]:
    with WebServer(grace=60) as server:
        yield server


@pytest.fixture
def token_server() -> Iterator[WebServer]:
    with WebServer(grace=60, program="token_server") as server:
        yield server


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server
