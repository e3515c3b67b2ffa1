"""What is written down while a case runs."""

from __future__ import annotations

import asyncio
import math
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from nadoo_flow import NodeResult, WorkflowContext


@dataclass
class Execution:
    """One execution of a user's code on one item."""

    name: str
    key: int
    began: float
    ended: float | None = None


_owner: ContextVar[Execution | None] = ContextVar("fuzz_owner", default=None)


@dataclass
class Ledger:
    """The books of one case.

    Attributes:
        findings: What was not as it should be.
        executions: Every execution of a leaf.
        pulled: What the sources have given, in this order.
        opened: How many sources were opened that have to be closed.
        closed: How many of these have run their clean-up to the end.
        received: What came out of the run.
        given: The outputs that each function of many outputs has given, by its name.
        windows: How many of these may be on their way to the consumer at most, where it is known.
        results: What executing a stage answered.
        fatal: Exceptions that the code inside raised to end everything.
        closing: Errors that clean-ups raised on purpose.
        asked_at: When the run was asked to end, if it was.
        iterator: The run's own iterator, for code that closes it from inside.
        own_executions: How often an override of ``execute`` in a stage was called.
        context: What the run shares, as its nodes have seen it.
        many_contexts: Whether each item may have a context of its own.
        several_cancels: Whether a timeout may break off the clean-up of an earlier cancel, that
            of another timeout or of a node that cancels itself.
    """

    findings: list[str] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    pulled: list[int] = field(default_factory=list)
    opened: int = 0
    closed: int = 0
    received: list[Any] = field(default_factory=list)
    given: dict[str, list[int]] = field(default_factory=dict)
    windows: dict[str, int] = field(default_factory=dict)
    results: list[NodeResult] = field(default_factory=list)
    fatal: list[BaseException] = field(default_factory=list)
    closing: list[BaseException] = field(default_factory=list)
    asked_at: float | None = None
    iterator: weakref.ReferenceType[Any] | None = None
    closed_from_inside: bool = False
    own_executions: int = 0
    context: WorkflowContext | None = None
    many_contexts: bool = False
    several_cancels: bool = False
    running: Counter[str] = field(default_factory=Counter)
    peak: Counter[str] = field(default_factory=Counter)

    def find(self, finding: str) -> None:
        """Note once what was not as it should be."""
        if finding not in self.findings:
            self.findings.append(finding)

    def give(self, name: str, output: int) -> int:
        """Note an output that a function of many outputs is about to give."""
        given = self.given.setdefault(name, [])
        given.append(output)
        if len(given) - len(self.received) > self.windows.get(name, math.inf):
            self.find("more outputs were pulled than the window holds")
        return output

    def ask_to_end(self) -> None:
        """Note that the run is asked to end now."""
        if self.asked_at is None:
            self.asked_at = asyncio.get_running_loop().time()

    def share(self, context: WorkflowContext) -> None:
        """Note the context that a node has got, which is one for the whole run."""
        if self.context is None:
            self.context = context
        if self.context is not context and not self.many_contexts:
            self.find("the items of a run do not share their workflow context")

    def is_first(self) -> bool:
        """Return whether the code that runs has not done its work on the item before."""
        owner = _owner.get()
        same = (one for one in self.executions if owner and one.key == owner.key)
        return next((one is owner for one in same if owner and one.name == owner.name), True)

    @contextmanager
    def execution(
        self, name: str, key: int, time: Callable[[], float] | None = None
    ) -> Iterator[None]:
        """Note an execution from its start to its end, and that it is alone in its context."""
        time = time or asyncio.get_running_loop().time
        execution = Execution(name, key, time())
        self.executions.append(execution)
        self.running[name] += 1
        self.peak[name] = max(self.peak[name], self.running[name])
        around = _owner.get()
        if around is not None and around.name == name and around.key != key:
            self.find("an item sees the context of another one")
        _owner.set(execution)
        try:
            yield
        finally:
            execution.ended = time()
            self.running[name] -= 1
