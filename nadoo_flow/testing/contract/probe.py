"""The node that a policy is put around to see what it does with it."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple, TypedDict

from typing_extensions import override

from ...nodes import BaseNode, NodeContext, NodeResult, WorkflowContext

CLEAN_UP = 0.5
"""Seconds that a call takes to end after it was cancelled."""

Outcome = Literal["answer", "raise", "fail"]


class Input(TypedDict):
    """An input: what the node does with it.

    It is a mapping of plain values, so that policies can make a key of it.
    """

    number: int
    seconds: float
    outcome: Outcome


class Call(NamedTuple):
    """A call of the node.

    Attributes:
        number: That of its input.
        time: When it came, by the clock of the loop.
    """

    number: int
    time: float


class ProbeNode(BaseNode[Any, Any]):
    """Does what its inputs say, and keeps books.

    Attributes:
        calls: All that came.
        running: How many calls have not ended, for each input.
        most_of_one: Most calls that ran at a time for one input.
        peak: Most calls that ran at a time.
        cleaning: How many calls were cancelled and have not cleaned up to the end.
        mixed: Pairs of inputs of which the second saw a context variable that the first had set.
    """

    def __init__(self) -> None:
        super().__init__("probe")
        self.calls: list[Call] = []
        self.running: Counter[int] = Counter()
        self.most_of_one = 0
        self.peak = 0
        self.cleaning = 0
        self.mixed: list[tuple[int, int]] = []

    @override
    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        given: Input = node_context.input_data
        number = given["number"]
        self.calls.append(Call(number, asyncio.get_running_loop().time()))
        seen = _number.get()
        if seen not in (None, number):
            self.mixed.append((seen, number))
        _number.set(number)
        self.running[number] += 1
        self.most_of_one = max(self.most_of_one, self.running[number])
        self.peak = max(self.peak, self.running.total())
        try:
            await self._work(given["seconds"])
        finally:
            self.running[number] -= 1
        if given["outcome"] == "raise":
            raise ValueError(f"input {number}")
        if given["outcome"] == "fail":
            return NodeResult(success=False, error=f"input {number}")
        return NodeResult(success=True, output=make_answer(number))

    async def _work(self, seconds: float) -> None:
        try:
            if seconds:
                await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cleaning += 1
            await asyncio.sleep(CLEAN_UP)
            self.cleaning -= 1
            raise


def make_answer(number: int) -> str:
    """Make the output for an input."""
    return f"answer {number}"


_number: ContextVar[Any] = ContextVar("nadoo_flow_probe", default=None)
