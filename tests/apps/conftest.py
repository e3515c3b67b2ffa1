"""Real servers and a real browser, each in a process of its own and stopped after its test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from ..embedding.browsing import open_browser
from ..embedding.processes import GRACE, RedisServer, WebServer


@pytest.fixture
def web_server() -> Iterator[WebServer]:
    with WebServer("tests.apps.web_server:app", *GRACE) as server:
        yield server


@pytest.fixture
def token_server() -> Iterator[WebServer]:
    with WebServer("tests.apps.token_server:app", *GRACE) as server:
        yield server


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser
