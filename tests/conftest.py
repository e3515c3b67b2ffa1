"""Async tests run in virtual time; ``@pytest.mark.asyncio(loop_factories=["real"])`` opts out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from .virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    marker = item.get_closest_marker("asyncio")
    if marker is not None and "loop_factories" in marker.kwargs:
        return {"real": asyncio.new_event_loop}
    return {"virtual": VirtualTimeLoop}
