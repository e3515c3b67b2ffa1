"""Functions of users, in all the ways in which they may answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest


def make_async(fn: Callable[..., Any]) -> Callable[..., Any]:
    async def later(*arguments: Any) -> Any:
        await asyncio.sleep(1)
        return fn(*arguments)

    return later


def make_awaitable(fn: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: asyncio.sleep(1, fn(*arguments))


sync_or_async = pytest.mark.parametrize(
    "kind", [lambda fn: fn, make_async, make_awaitable], ids=["sync", "async", "awaitable"]
)
