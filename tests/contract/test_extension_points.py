"""Whatever public method a subclass overrides, with the signature that it documents, is used."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from reactivex import Observable, Subject
from reactivex import operators as ops

import nadoo_flow
from nadoo_flow import (
    AdaptiveLimit,
    BaseNode,
    BatchProcessor,
    BatchResult,
    BatchResults,
    ConcurrencyLimit,
    DynamicBatchProcessor,
    ExpandNode,
    FilterNode,
    FlatMapNode,
    FunctionNode,
    MapNode,
    MicroBatchNode,
    NodeContext,
    NodeResult,
    OperatorNode,
    ParallelNode,
    Pipeline,
    ReduceNode,
    SqliteCheckpoint,
    Trace,
    Valve,
    WorkflowContext,
)
from nadoo_flow.checkpoint import Checkpoint, Codec, JsonCodec
from nadoo_flow.events.event import Watcher
from nadoo_flow.policies import limit, retry
from nadoo_flow.policies.wrapper import PolicyNode

from ..stand_ins import Listener, answer, double, now, observed, slowly

Use = Callable[[Any, Path], Awaitable[Any]]


class Case(NamedTuple):
    """A method, and a use of its class by which it is called, and whose outcome can be compared."""

    owner: type
    method: str
    use: Use


def outputs(results: list[BatchResult]) -> list[Any]:
    return [(result.index, result.output, result.error) for result in results]


async def collected(iterator: Any) -> list[Any]:
    return [each async for each in iterator]


async def emitted(observable: Observable[Any]) -> list[Any]:
    values: list[Any] = []
    assert await observed(observable, values) is None
    return values


class Doubling(BaseNode):
    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        return NodeResult(success=True, output=node_context.input_data["item"] * 2)


class Failing(BaseNode):
    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        return NodeResult(success=False, error="no luck")


class Around(PolicyNode):
    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        return await self.attempt(node_context, workflow_context)


INPUTS = [1, 2, 3]
ITEMS = {"items": INPUTS}

STAGES: dict[type, Callable[[Any], Any]] = {
    MapNode: lambda kind: kind("stage", double),
    FilterNode: lambda kind: kind("stage", lambda value: value > 1),
    ReduceNode: lambda kind: kind("stage", lambda total, value: total + value, 0),
    OperatorNode: lambda kind: kind(ops.map(double)),
    FlatMapNode: lambda kind: kind("stage", lambda value: [value, value]),
    ExpandNode: lambda kind: kind("stage", lambda value: [value + 1] if value < 4 else []),
}
NODES: dict[type, Callable[[Any], Any]] = {
    Doubling: lambda kind: kind(),
    FunctionNode: lambda kind: kind(double),
    Pipeline: lambda kind: kind(double, double),
    ParallelNode: lambda kind: kind([double]),
    MicroBatchNode: lambda kind: kind(lambda values: [double(value) for value in values]),
    Around: lambda kind: kind(FunctionNode(double)),
    **STAGES,
}


def cases_of_nodes() -> Iterator[Case]:
    for kind, make in NODES.items():
        data: Any = ITEMS if kind in STAGES else 1

        async def executed(cls: Any, _: Path, make: Any = make, data: Any = data) -> Any:
            return outputs(await BatchProcessor(make(cls)).batch([data]))

        async def in_sequence(cls: Any, _: Path, make: Any = make, data: Any = data) -> Any:
            return await (make(cls) | repr).run(data)

        async def in_parallel(cls: Any, _: Path, make: Any = make, data: Any = data) -> Any:
            return await ParallelNode([make(cls)]).run(data)

        async def mapped(cls: Any, _: Path, make: Any = make, data: Any = data) -> Any:
            return await MapNode("map", make(cls)).run({"items": [data]})

        async def run(cls: Any, _: Path, make: Any = make, data: Any = data) -> Any:
            return await make(cls).run(data)

        async def piped(cls: Any, _: Path, make: Any = make, data: Any = data) -> Any:
            return await make(cls).pipe(retry(2)).run(data)

        async def drawn(cls: Any, _: Path, make: Any = make) -> Any:
            return make(cls).to_mermaid()

        for use in (executed, in_sequence, in_parallel, mapped, run, piped):
            # A pipeline gives its nodes to the one around it.
            if (kind, use) == (Pipeline, in_sequence):
                continue
            yield Case(kind, "execute", use)
        yield Case(kind, "run", run)
        yield Case(kind, "pipe", piped)
        yield Case(kind, "to_mermaid", drawn)


def cases_of_stages() -> Iterator[Case]:
    for kind, make in STAGES.items():

        async def run(cls: Any, _: Path, make: Any = make) -> Any:
            return await make(cls).run(ITEMS)

        async def streamed(cls: Any, _: Path, make: Any = make) -> Any:
            return await collected(make(cls).stream(INPUTS, ordered=True))

        async def observed_by(cls: Any, _: Path, make: Any = make) -> Any:
            return await emitted(make(cls).observe(INPUTS, ordered=True))

        async def in_a_chain(cls: Any, _: Path, make: Any = make) -> Any:
            first = MapNode("first", double, output_key="items")
            return await (first | make(cls)).run(ITEMS)

        async def as_operator(cls: Any, _: Path, make: Any = make) -> Any:
            source: Subject[int] = Subject()
            values: list[Any] = []
            operator = make(cls).as_operator(ordered=True)
            ending = asyncio.create_task(observed(source.pipe(operator), values))
            await asyncio.sleep(0)
            for value in INPUTS:
                source.on_next(value)
            source.on_completed()
            assert await ending is None
            return values

        for use in (run, streamed, observed_by, in_a_chain, as_operator):
            yield Case(kind, "operator", use)
        yield Case(kind, "stream", streamed)
        yield Case(kind, "observe", observed_by)
        yield Case(kind, "observe", as_operator)
        yield Case(kind, "as_operator", as_operator)


def cases_of_batches() -> Iterator[Case]:
    async def batch(cls: Any, _: Path) -> Any:
        return outputs(await cls(double).batch(INPUTS))

    async def watched(cls: Any, _: Path) -> Any:
        return outputs(await cls(double, trace=True).batch(INPUTS))

    async def recorded(cls: Any, path: Path) -> Any:
        return outputs(await cls(double, checkpoint=path / "results").batch(INPUTS))

    async def with_context(cls: Any, _: Path) -> Any:
        context = WorkflowContext()
        listener = Listener()
        await cls(listener).batch(INPUTS, context)
        return [shared is context for shared in listener.shared]

    async def completed(cls: Any, _: Path) -> Any:
        return outputs(await collected(cls(double).batch_as_completed(INPUTS)))

    async def chunked(cls: Any, _: Path) -> Any:
        return [outputs(chunk) for chunk in await collected(cls(double).batch_in_chunks(INPUTS, 2))]

    async def observed_by(cls: Any, _: Path) -> Any:
        return outputs(await emitted(cls(double).observe(INPUTS)))

    async def again(cls: Any, _: Path) -> Any:
        failed = [BatchResult(index, value, False) for index, value in enumerate(INPUTS)]
        return outputs(await cls(double).retry_failed(failed, 1, 0, WorkflowContext()))

    async def single(cls: Any, _: Path) -> Any:
        return outputs([await cls(double).process_single(1, 0)])

    async def dynamic(cls: Any, _: Path) -> Any:
        return outputs(await cls(double).process(INPUTS))

    for use in (batch, watched, recorded, with_context, completed, chunked, observed_by, again):
        yield Case(BatchProcessor, "process_single", use)
    yield Case(BatchProcessor, "process_single", single)
    for use in (batch, watched, with_context, completed, chunked, again):
        yield Case(BatchProcessor, "batch_as_completed", use)
    for use in (batch, watched, with_context, again):
        yield Case(BatchProcessor, "batch", use)
    yield Case(BatchProcessor, "batch_in_chunks", chunked)
    yield Case(BatchProcessor, "observe", observed_by)
    yield Case(BatchProcessor, "retry_failed", again)
    yield Case(DynamicBatchProcessor, "process", dynamic)


def cases_of_results() -> Iterator[Case]:
    results = [BatchResult(0, 1, True, 2, None, 0.5), BatchResult(1, 2, False, None, "no luck")]

    async def printed(cls: Any, _: Path) -> Any:
        return repr(cls(results)), cls(results)._repr_html_()

    async def framed(cls: Any, _: Path) -> Any:
        return len(cls(results).to_pandas()), len(cls(results).to_polars())

    async def plotted(cls: Any, _: Path) -> Any:
        return len(cls(results).plot())

    async def tried_again(cls: Any, _: Path) -> Any:
        node = FunctionNode(lambda _: cls(success=True, output=1))
        return (await answer(node.pipe(retry(2)), {})).metadata

    yield Case(BatchResults, "summary", printed)
    yield Case(BatchResults, "to_pandas", framed)
    yield Case(BatchResults, "to_polars", framed)
    yield Case(BatchResults, "plot", plotted)
    yield Case(NodeResult, "with_metadata", tried_again)


def cases_of_watchers() -> Iterator[Case]:
    async def traced(cls: Any, _: Path) -> Any:
        await BatchProcessor(double, trace=cls()).batch(INPUTS)

    async def traced_pipeline(cls: Any, _: Path) -> Any:
        await (MapNode("map", double) | repr).run(ITEMS, trace=cls())

    async def drawn(cls: Any, _: Path) -> Any:
        trace = cls()
        await BatchProcessor(double, trace=trace).batch(INPUTS)
        return [type(picture).__name__ for picture in (trace.marbles(), trace.timeline())]

    for method in ("on_begin", "on_event", "on_end"):
        yield Case(Trace, method, traced)
        yield Case(Watcher, method, traced_pipeline)
    yield Case(Trace, "marbles", drawn)
    yield Case(Trace, "timeline", drawn)


def cases_of_valves() -> Iterator[Case]:
    async def drained(cls: Any, _: Path) -> Any:
        valve = cls()
        batch = asyncio.create_task(
            BatchProcessor(asyncio.sleep, max_concurrency=2, valve=valve).batch([1] * 10)
        )
        await asyncio.sleep(1.5)
        return await valve.drain(), len(await batch)

    yield Case(Valve, "drain", drained)


def cases_of_checkpoints() -> Iterator[Case]:
    async def resumed(checkpoint: Any, codec: Any = None) -> Any:
        first = BatchProcessor(double, checkpoint=checkpoint, codec=codec)
        again = BatchProcessor(double, checkpoint=checkpoint, codec=codec)
        return [outputs(await processor.batch(INPUTS)) for processor in (first, again)]

    async def kept(cls: Any, path: Path) -> Any:
        return await resumed(cls(path / "results"))

    async def encoded(cls: Any, path: Path) -> Any:
        return await resumed(path / "results", cls())

    for method in ("open", "read_completed", "record", "close"):
        yield Case(SqliteCheckpoint, method, kept)
    for method in ("encode", "decode"):
        yield Case(JsonCodec, method, encoded)


def cases_of_limits() -> Iterator[Case]:
    async def shared(cls: Any, _: Path) -> Any:
        node = FunctionNode(slowly).pipe(limit(cls(1)))
        return outputs(await BatchProcessor(node).batch(INPUTS))

    async def nested(cls: Any, _: Path) -> Any:
        permits = cls(1)
        inner = MapNode("map", FunctionNode(slowly).pipe(limit(permits)))
        return await inner.pipe(limit(permits)).run(ITEMS)

    for kind in (ConcurrencyLimit, AdaptiveLimit):
        for method in ("acquire", "release"):
            yield Case(kind, method, shared)
            yield Case(kind, method, nested)


async def _attempted(cls: Any, _: Path) -> Any:
    node = cls(FunctionNode(double))
    return outputs(await BatchProcessor(node).batch(INPUTS)), node.node_id


CASES = [
    *cases_of_nodes(),
    *cases_of_stages(),
    *cases_of_batches(),
    *cases_of_results(),
    *cases_of_watchers(),
    *cases_of_valves(),
    *cases_of_checkpoints(),
    *cases_of_limits(),
    Case(Around, "attempt", _attempted),
]


def override(owner: type, method: str, calls: list[str]) -> type:
    """Make a subclass that overrides a method with its own signature and calls what it inherits."""
    inherited = getattr(owner, method)
    signature = inspect.signature(inherited)
    parameters = list(signature.parameters.values())[1:]
    shown, passed, defaults = ["self"], [], {}
    for parameter in parameters:
        name = parameter.name
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            shown.append(str(parameter.replace(annotation=parameter.empty)))
            passed.append(shown[-1])
            continue
        if parameter.default is not parameter.empty:
            defaults[name] = parameter.default
            shown.append(f"{name}=defaults[{name!r}]")
        else:
            shown.append(name)
        passed.append(f"{name}={name}" if parameter.kind is parameter.KEYWORD_ONLY else name)
    is_async = inspect.iscoroutinefunction(inherited)
    source = (
        f"{'async ' if is_async else ''}def {method}({', '.join(shown)}):\n"
        f"    calls.append({method!r})\n"
        f"    return {'await ' if is_async else ''}inherited({', '.join(['self', *passed])})\n"
    )
    scope: dict[str, Any] = {"calls": calls, "inherited": inherited, "defaults": defaults}
    exec(source, scope)
    return type(owner.__name__, (owner,), {method: scope[method]})


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{case.owner.__name__}.{case.method}-{case.use.__name__}")
        for case in CASES
    ],
)
async def test_rule_r15_an_override_is_used_and_changes_nothing_else(
    case: Case, tmp_path_factory: pytest.TempPathFactory
) -> None:
    calls: list[str] = []
    overriding = override(case.owner, case.method, calls)
    as_before = await case.use(case.owner, tmp_path_factory.mktemp("inherited"))
    assert calls == []
    assert await case.use(overriding, tmp_path_factory.mktemp("overridden")) == as_before
    assert calls
    assert asyncio.all_tasks() == {asyncio.current_task()}


def public_methods(owner: type) -> set[str]:
    ours = [kind for kind in owner.__mro__ if kind.__module__.startswith("nadoo_flow.")]
    methods = {
        name for kind in ours for name, kept in vars(kind).items() if inspect.isfunction(kept)
    }
    return {name for name in methods if not name.startswith("_")}


# Whose methods are tried on another class: a subclass, or the kind that is a user's own to write.
IN_PLACE_OF = {
    BaseNode: Doubling,
    PolicyNode: Around,
    Checkpoint: SqliteCheckpoint,
    Codec: JsonCodec,
}
EXPORTED = [getattr(nadoo_flow, name) for name in nadoo_flow.__all__]
PUBLIC = [kind for kind in EXPORTED if isinstance(kind, type)]
OPEN = [*PUBLIC, PolicyNode, Watcher, Codec]


@pytest.mark.parametrize("owner", [kind for kind in OPEN if public_methods(kind)])
def test_no_public_method_is_left_out(owner: type) -> None:
    tried = {case.method for case in CASES if case.owner is IN_PLACE_OF.get(owner, owner)}
    assert public_methods(owner) <= tried


@pytest.mark.parametrize("kind", [ConcurrencyLimit, AdaptiveLimit])
async def test_rule_r15_the_size_of_a_limit_may_be_computed(kind: type[ConcurrencyLimit]) -> None:
    class Late(kind):  # type: ignore[misc, valid-type]
        @property
        def size(self) -> int:
            return 1 if now() < 2 else 3

    started: list[float] = []

    async def work(seconds: float) -> None:
        started.append(now())
        await asyncio.sleep(seconds)

    await BatchProcessor(FunctionNode(work).pipe(limit(Late(10)))).batch([1] * 6)
    assert started == [0, 1, 2, 2, 2, 3]
