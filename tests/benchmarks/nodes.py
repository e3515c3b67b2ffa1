"""The functions and nodes that every contestant runs.

The nodes are made of whichever ``nadoo_flow`` can be imported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

Input: TypeAlias = dict[str, Any]
Total: TypeAlias = tuple[int, int]
"""How many outputs there were, and their sum."""


def inputs(n: int) -> list[Input]:
    """Make the inputs of a case."""
    return [{"n": number} for number in range(n)]


def expected_total(params: dict[str, Any]) -> list[int]:
    """Say what n inputs come to: the nodes answer ``n + 1``."""
    n = params["n"]
    return [n, n * (n + 1) // 2]


async def suspend_once(data: Input) -> int:
    """Suspend once, and do nothing else."""
    await asyncio.sleep(0)
    number: int = data["n"]
    return number + 1


def return_at_once(data: Input) -> int:
    """Do nothing, and be no coroutine either."""
    number: int = data["n"]
    return number + 1


async def _plain(self: Any, node_context: Any, workflow_context: Any) -> Any:
    return self.result(True, node_context.input_data["n"] + 1)


async def _yielding(self: Any, node_context: Any, workflow_context: Any) -> Any:
    await asyncio.sleep(0)
    return self.result(True, node_context.input_data["n"] + 1)


async def _sleeping(self: Any, node_context: Any, workflow_context: Any) -> Any:
    data = node_context.input_data
    await asyncio.sleep(data.get("seconds", 0.001))
    return self.result(True, data["n"] + 1)


async def _computing(self: Any, node_context: Any, workflow_context: Any) -> Any:
    sum(range(500))
    return self.result(True, node_context.input_data["n"] + 1)


async def _waiting(self: Any, node_context: Any, workflow_context: Any) -> Any:
    self.started += 1
    try:
        await asyncio.sleep(3600)
    finally:
        try:
            await asyncio.sleep(0)
            self.cleaned += 1
        finally:
            self.ended += 1


FUNCTIONS: dict[str, Callable[[Input], Any]] = {
    "function": suspend_once,
    "sync-function": return_at_once,
}

_EXECUTE: dict[str, Callable[..., Any]] = {
    "plain": _plain,  # never suspends
    "yield": _yielding,  # suspends once
    "sleep": _sleeping,  # for 1 ms, or as long as its input says
    "compute": _computing,  # never suspends, for a few microseconds
    "wait": _waiting,  # until it is cancelled, and counts what then happens
}


def make_work(kind: str) -> Any:
    """Make what items go through: a function or a node of one kind."""
    return FUNCTIONS.get(kind) or make_node(kind)


def make_node(kind: str, **attributes: Any) -> Any:
    """Make a node of one kind.

    Args:
        kind: One of ``_EXECUTE``.
        attributes: Further attributes of its class.
    """
    from nadoo_flow import BaseNode, NodeResult

    counts = {"started": 0, "cleaned": 0, "ended": 0}
    body = {"execute": _EXECUTE[kind], "result": NodeResult, **counts, **attributes}
    node_class = type("Node", (BaseNode,), body)
    return node_class("node", node_type="node", name="node", config={})
