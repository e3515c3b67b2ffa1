"""The ways in which the code of a user runs list stages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import reactivex as rx
from reactivex import Observable

from nadoo_flow import (
    CheckpointError,
    NodeContext,
    NodeError,
    Pipeline,
    Trace,
    Valve,
    WorkflowContext,
    streams,
)
from nadoo_flow import operators as node_operators

from .case import Batch, Case
from .chain_books import receive_recorded
from .endings import End, until_awaited, until_iterated, until_observed
from .ledger import Ledger
from .memory_steps import MemorySteps
from .nodes import Builder
from .values import parent_of


async def consume_stages(
    case: Case,
    ledger: Ledger,
    builder: Builder,
    stages: Any,
    source: Any,
    trace: Trace | None,
    valve: Valve | None,
    steps: MemorySteps | None,
) -> End:
    """Run the stages of a case in its way, and say how that ended."""
    assert not isinstance(case.what, Batch)
    many = case.what[-1].many if case.what[-1].kind == "flat_map" else None
    if many is not None and "generator" in many.form and case.way not in ("execute", "run"):
        # One more while the consumer has not taken what is handed to it.
        ledger.windows[many.name] = 4 * stages.max_concurrency + 1
    receive = _make_receiver(case, ledger, steps)
    with nullcontext() if steps is None else steps.used() as path:
        # A pipeline of stages that stay apart takes no valve.
        options = {"valve": valve, "checkpoint": path, "trace": trace}
        given = {name: option for name, option in options.items() if option is not None}
        end = await _consume(case, ledger, builder, stages, source, given, receive)
    if isinstance(end.error, CheckpointError):
        ledger.fatal.append(end.error)
    if end.kind == "completed" and case.way in ("execute", "run"):
        for output in [end.value] if case.what[-1].kind == "reduce" else end.value:
            receive((0, output) if case.indexed else output)
    return end


async def _consume(
    case: Case,
    ledger: Ledger,
    builder: Builder,
    stages: Any,
    source: Any,
    given: dict[str, Any],
    receive: Callable[[Any], None],
) -> End:
    if case.way == "execute":

        async def execute() -> Any:
            result = await stages.execute(NodeContext({"items": source}), WorkflowContext())
            ledger.results.append(result)
            if not result.success:
                raise NodeError(stages.node_id, str(result.error)) from result.exception
            return result.output["items"]

        return await until_awaited(execute, case.ending, ledger)
    if case.way == "run":

        async def run() -> Any:
            taken = {"trace"} if isinstance(stages, Pipeline) else {*given}
            options = {name: given[name] for name in taken & {*given}}
            return (await stages.run({"items": source}, **options))["items"]

        return await until_awaited(run, case.ending, ledger)
    if case.way == "stream":
        iterator = stages.stream(source, ordered=case.ordered, indexed=case.indexed, **given)
        return await until_iterated(iterator, case.ending, ledger, receive, case.slow)
    observable = _observable(case, stages, builder, source, given)
    return await until_observed(observable, case.ending, ledger, receive)


def _make_receiver(case: Case, ledger: Ledger, steps: MemorySteps | None) -> Callable[[Any], None]:
    """Make what gets each output, or each with its index."""

    def receive(given: Any) -> None:
        output = given
        if case.indexed:
            output = given[1]
            _check_index(case, ledger, given)
        ledger.received.append(output)
        if steps is not None and not isinstance(case.what, Batch):
            receive_recorded(case.what, steps, output)

    return receive


def _check_index(case: Case, ledger: Ledger, indexed: streams.Indexed[Any]) -> None:
    """Check the index of an output, which was made of an input by stages of many outputs."""
    index, output = indexed
    item = output
    for _ in range(repr(case.what).count("'flat_map'")):
        item = parent_of(item)
    if index != item:
        ledger.find(f"output {output} has the index {index}")


def _observable(
    case: Case, stages: Any, builder: Builder, source: Any, options: dict[str, Any]
) -> Observable[Any]:
    if case.way == "observe":
        observable: Observable[Any] = stages.observe(
            source, ordered=case.ordered, indexed=case.indexed, **options
        )
        return observable
    given = source if isinstance(source, Observable) else rx.from_iterable(source)
    if case.way == "as_operator":
        return given.pipe(stages.as_operator(ordered=case.ordered, valve=options.get("valve")))
    assert not isinstance(case.what, Batch)
    (stage,) = case.what
    operator = node_operators.flat_map(builder.node(stage.work), stage.limit, case.ordered)
    return given.pipe(operator)
