"""Typed uses that a strict type checker must accept; it reads this file, nobody runs it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, assert_type

import polars
from matplotlib.axes import Axes
from opentelemetry.trace import TracerProvider
from reactivex import Observable, of
from reactivex import operators as ops
from reactivex.subject import Subject

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    BatchResult,
    BatchResults,
    DynamicBatchProcessor,
    ExpandNode,
    FilterNode,
    FlatMapNode,
    FunctionNode,
    MapNode,
    NodeContext,
    NodeError,
    NodeResult,
    OperatorNode,
    OverflowStrategy,
    ParallelNode,
    ParallelStrategy,
    Pipeline,
    ReduceNode,
    Valve,
    WorkflowContext,
    read_failed,
)
from nadoo_flow.dashboard import Dashboard
from nadoo_flow.executors import on
from nadoo_flow.operators import expand, flat_map
from nadoo_flow.policies import (
    CacheStore,
    ConcurrencyLimit,
    RateBudget,
    cache,
    fallback,
    limit,
    rate_limit,
    retry,
    timeout,
)
from nadoo_flow.results import Stopped
from nadoo_flow.stages import ListStage
from nadoo_flow.telemetry import Instrumentation, ItemFilter, instrument
from nadoo_flow.testing import (
    FlakyService,
    assert_nothing_left,
    check_policy,
    check_stage,
    marbles,
    record,
    virtual_time,
)


@dataclass
class Answer:
    text: str
    score: float


class Shout(BaseNode):
    """A node without parameters, as easy as ever."""

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        workflow_context.variables["shouted"] = True
        text: str = node_context.input_data["text"]
        return NodeResult(success=True, output={"text": text.upper()}, metadata={"model": "m"})


class Untyped(BaseNode):
    isolate = "task"

    async def execute(self, node_context: Any, workflow_context: Any) -> NodeResult:
        return NodeResult(success=False, error="no luck")


class Ask(BaseNode[str, Answer]):
    async def execute(self, node_context: Any, workflow_context: Any) -> NodeResult:
        return NodeResult(success=True, output=Answer("", 1))


def length(text: str) -> int:
    return len(text)


async def slow_length(text: str) -> int:
    await asyncio.sleep(1)
    return len(text)


async def ask(prompt: str) -> Answer:
    return Answer(prompt, 1)


def ask_later(prompt: str) -> asyncio.Future[Answer]:
    return asyncio.ensure_future(ask(prompt))


def judge(answer: Answer) -> float:
    return answer.score


async def give_result(prompt: str) -> NodeResult:
    return NodeResult(success=True, output=prompt)


def give_up(prompt: str) -> None:
    print(prompt)


def load(path: str) -> dict[str, list[str]]:
    return {"items": [path]}


def load_anything(path: str) -> dict[str, object]:
    return {"items": [path], "path": path}


def untyped(data, extra=1):  # type: ignore[no-untyped-def]
    return data


def labelled(label: str) -> Callable[[BaseNode], BaseNode]:
    return lambda node: FunctionNode(node.run, label)


async def nodes() -> None:
    shout = Shout("shout", node_type="text", name="Shout", config={"loud": True})
    assert_type(shout.node_id, str)
    assert_type(await shout.execute(NodeContext(input_data={}), WorkflowContext()), NodeResult)
    assert_type(await shout.run({"text": "x"}), Any)
    assert_type(await shout.run("bare", workflow_context=WorkflowContext()), Any)
    assert_type(await Ask().run("x"), Answer)
    assert_type(FunctionNode(ask), FunctionNode[str, Answer])
    assert_type(FunctionNode(ask_later), FunctionNode[str, Answer])
    assert_type(FunctionNode(judge, "judge"), FunctionNode[Answer, float])
    assert_type(await FunctionNode(ask).run("a"), Answer)
    assert_type(FunctionNode(give_result), FunctionNode)
    assert_type(FunctionNode(abs), FunctionNode)
    assert_type(FunctionNode(lambda text: text), FunctionNode[Any, Any])
    assert_type(FunctionNode(lambda data: data["text"]), FunctionNode[Any, Any])
    narrower: BaseNode[bool, object] = _narrow(FunctionNode(abs_of))
    assert_type(await narrower.run(True), object)


def _narrow(node: BaseNode[int, int]) -> BaseNode[bool, object]:
    return node


def abs_of(number: int) -> int:
    return abs(number)


def price(prompt: str) -> dict[str, float]:
    return {"usd": len(prompt) * 1e-6}


def used(result: NodeResult) -> dict[str, float]:
    return {"usd": result.metadata["usd"]}


async def policies(shared: ConcurrencyLimit) -> None:
    node = FunctionNode(ask)
    assert_type(node.pipe(timeout(5), retry(3)), BaseNode[str, Answer])
    assert_type(await node.pipe(timeout(5), retry(3)).run("a"), Answer)
    assert_type(node.pipe(rate_limit(5), limit(shared), on(ThreadPoolExecutor())), Asking)
    budget = rate_limit(RateBudget(per=60, usd=0.5), estimate=price, actual=used)
    assert_type(node.pipe(budget), BaseNode[str, Answer])
    assert_type(node.pipe(retry(3), fallback(give_up)), BaseNode[str, Answer | None])
    assert_type(node.pipe(retry(3), fallback(Ask(), Ask())), BaseNode[str, Answer])
    assert_type(node.pipe(lambda inner: inner | judge), BaseNode[str, float])
    assert_type(node.pipe(retry(3), cache("a.sqlite", str.lower, "2", ttl=60)), Asking)
    assert_type(node.pipe(cache(SyncStore()), cache(AsyncStore())), Asking)
    assert_type(node.pipe(labelled("a")), BaseNode[str, Any])
    assert_type(retry(3)(node), BaseNode[str, Answer])
    assert_type(retry(3)(judge), BaseNode[Answer, float])
    assert_type(Shout().pipe(labelled("a"), labelled("b")), BaseNode)
    assert_type(Shout().pipe(retry(3), timeout(5), labelled("a")), BaseNode)


Asking: TypeAlias = BaseNode[str, Answer]


class SyncStore:
    def get(self, key: str) -> bytes | None:
        return None

    def set(self, key: str, value: bytes, ttl: float | None) -> None: ...


class AsyncStore(CacheStore):
    async def get(self, key: str) -> bytes | None:
        return None

    async def set(self, key: str, value: bytes, ttl: float | None) -> bool:
        return True


def pipelines(shout: Shout) -> None:
    assert_type(FunctionNode(ask) | judge, Pipeline[str, float])
    assert_type(Ask() | judge | str, Pipeline[str, str])
    assert_type(ask | FunctionNode(judge), Pipeline[str, float])
    assert_type(FunctionNode(length) | FunctionNode(abs_of), Pipeline[str, int])
    assert_type(shout | Untyped() | length | str, Pipeline[Any, str])
    assert_type(length | shout, Pipeline[str, Any])
    assert_type(shout | slow_length, Pipeline[Any, int])
    assert_type(shout | give_result, Pipeline)
    assert_type(shout | untyped, Pipeline)
    Pipeline(shout, length, node_id="both")
    both: Pipeline[str, float] = Pipeline(ask, judge)
    assert_type(both, Pipeline[str, float])


async def batches() -> None:
    processor = BatchProcessor(ask)
    assert_type(processor, BatchProcessor[str, Answer])
    assert_type(BatchProcessor(length, max_concurrency=5), BatchProcessor[str, int])
    assert_type(BatchProcessor(Ask(), continue_on_error=False), BatchProcessor[str, Answer])
    assert_type(BatchProcessor(FunctionNode(ask).pipe(retry(3))), BatchProcessor[str, Answer])
    assert_type(BatchProcessor(Ask() | judge), BatchProcessor[str, float])
    assert_type(BatchProcessor(ask, key=lambda text: text.upper()), BatchProcessor[str, Answer])
    assert_type(BatchProcessor(Ask(), key=str.upper), BatchProcessor[str, Answer])
    assert_type(BatchProcessor(ask, failed_to="failed.jsonl"), BatchProcessor[str, Answer])
    processor = BatchProcessor(ask, failed_to=lambda result: print(result.input_data.upper()))
    assert_type(processor, BatchProcessor[str, Answer])
    assert_type(read_failed(Path("failed.jsonl"))[0].index, int)
    results = await processor.batch(["a"])
    assert_type(results, BatchResults[str, Answer])
    assert_type(results[0], BatchResult[str, Answer])
    assert_type(results[0].output, Answer | None)
    assert_type(results[0].input_data, str)
    assert_type(results.outputs, list[Answer])
    assert_type(results.failed, list[BatchResult[str, Answer]])
    assert_type(await processor.retry_failed(results), BatchResults[str, Answer])
    assert_type(await processor.process_single("a", 0), BatchResult[str, Answer])
    assert_type(processor.observe(of("a")), Observable[BatchResult[str, Answer]])
    async for result in processor.batch_as_completed(of("a")):
        assert_type(result, BatchResult[str, Answer])
    async for chunk in processor.batch_in_chunks(["a"], 5):
        assert_type(chunk, list[BatchResult[str, Answer]])
    assert_type(await DynamicBatchProcessor(ask).process(["ab"]), list[Asked])


Asked: TypeAlias = BatchResult[str, Answer]


async def untyped_batches(processor: BatchProcessor) -> None:
    """Give Any for what is not typed, so that nothing has to be checked for None."""
    assert_type(BatchProcessor(untyped), BatchProcessor)
    assert_type(BatchProcessor(lambda data: data["text"] + 1), BatchProcessor)
    assert_type(BatchProcessor(Shout()), BatchProcessor)
    assert_type(BatchProcessor(Shout(), key=lambda data: data["text"]), BatchProcessor)
    wrapping = BatchProcessor(lambda data: {"text": data})
    print([output["text"] + 1 for output in (await wrapping.batch([1])).outputs])
    assert_type(await processor.batch([{"text": "x"}, "bare", 5]), BatchResults)
    assert_type(await processor.batch(range(5), WorkflowContext()), BatchResults)
    assert_type(await processor.batch(_asynchronous()), BatchResults)
    as_plain_list: list[BatchResult] = await processor.batch([1])
    assert_type(as_plain_list[0], BatchResult)
    assert_type(as_plain_list[0].output, Any)
    print([result.output["score"] for result in as_plain_list if result.success])
    async with processor.batch_as_completed(n for n in range(5)) as results:
        assert_type(await anext(results), BatchResult)
        assert_type(await results.drain(5), int)
        asyncio.get_running_loop().add_signal_handler(15, results.drain)
        assert_type(await asyncio.create_task(results.drain(timeout=0.5)), int)
        await results.aclose()
    valve = Valve()
    assert_type(await BatchProcessor(len, valve=valve).batch(["a"]), BatchResults[Sized, int])
    assert_type(await valve.drain(), int)
    limits = BatchProcessor(
        len,
        deadline=600,
        grace=0.5,
        max_failures=0.1,
        max_usage={"usd": 5},
        stop_when=lambda summary: summary.failed > summary.usage["tokens"],
    )
    within = await limits.batch(["a"])
    assert_type(within.not_started, int | None)
    if within.stopped is not None:
        assert_type(within.stopped.finished, int)
    assert_type(within.plot().latencies, Axes)
    assert_type(within.to_polars(spread=True), polars.DataFrame)
    completed = limits.batch_as_completed(["a"])
    assert_type(completed.stopped, Stopped | None)
    assert_type(await anext(completed), BatchResult[Sized, int])
    processor.batch_as_completed(Subject[int](), buffer=5, overflow=OverflowStrategy.DROP_OLDEST)


def results(result: BatchResult, typed: BatchResult[str, int]) -> None:
    assert_type(result.index, int)
    assert_type(result.success, bool)
    assert_type(result.error, str | None)
    assert_type(result.execution_time, float | None)
    assert_type(result.started, float | None)
    assert_type(result.exception, BaseException | None)
    assert_type(result.metadata, dict[str, Any])
    result.index = 7
    typed.output = 5
    assert_type(BatchResult(0, "x", True, 5), BatchResult[str, int])


def list_stages(shout: Shout) -> None:
    assert_type(MapNode("map", slow_length, "texts", "lengths", 5, True), MapNode[str, int])
    assert_type(MapNode(node_id="map", child_node=ask, input_key="texts"), MapNode[str, Answer])
    assert_type(MapNode(child_node=judge), MapNode[Answer, float])
    assert_type(MapNode("map", ask, key=lambda text: text[0]), MapNode[str, Answer])
    assert_type(MapNode(child_node=judge, key=lambda answer: answer.text), MapNode[Answer, float])
    assert_type(MapNode(node_id="map", child_node=shout), MapNode)
    assert_type(MapNode("map", lambda item: item["text"]), MapNode)
    assert_type(FilterNode(node_id="long", filter_fn=slow_length), FilterNode[str])
    assert_type(FilterNode("sure", lambda item: item["confidence"] > 0.8, "a", "b"), FilterNode)
    assert_type(ReduceNode(node_id="sum", reduce_fn=add), ReduceNode[int, int])
    assert_type(ReduceNode("sum", lambda total, item: total + item["n"], 0), ReduceNode)
    ReduceNode("group", lambda so_far, item: {**so_far, item["key"]: item}, {})
    ParallelNode([shout, length, slow_length], ParallelStrategy.RACE, node_id="first")
    ParallelNode(nodes=(shout,), strategy=ParallelStrategy.ALL_SETTLED)
    assert_type(ParallelNode([Ask("a"), Ask("b")]), ParallelNode[str, dict[str, Answer]])
    assert_type(ParallelNode([Ask()], ParallelStrategy.ANY), ParallelNode[str, Answer])


async def add(total: int | None, number: int) -> int:
    return (total or 0) + number


async def chains() -> None:
    answers = MapNode("ask", ask)
    sure: FilterNode[Answer] = FilterNode("sure", lambda answer: answer.score > 0.5, "results")
    scores = MapNode("judge", judge, "filtered", "scores")
    total = ReduceNode("total", add_up, 0.0, "scores")
    assert_type(answers | sure | scores, ListStage[str, float, list[float]])
    assert_type(answers | sure | scores | total, ListStage[str, float, float])
    async with (answers | sure).stream(["a"], ordered=True, max_in_flight=10) as outputs:
        async for output in outputs:
            assert_type(output, Answer)
    assert_type((answers | sure).observe(["a"], buffer=5), Observable[Answer])
    assert_type((answers | sure).as_operator(), Callable[[Observable[str]], Observable[Answer]])
    async with (answers | sure).stream(["a"], indexed=True, checkpoint="a.sqlite") as numbered:
        async for number_and_answer in numbered:
            assert_type(number_and_answer.value, Answer)
    assert_type((answers | sure).observe(["a"], checkpoint=Path("a")), Observable[Answer])
    assert_type(await answers.run({"items": ["a"]}, checkpoint="a"), dict[str, list[Answer]])
    assert_type(await answers.run({"items": ["a"], "language": "ko"}), dict[str, list[Answer]])
    assert_type(await total.run({"scores": [1.0]}), dict[str, float])
    assert_type(answers | in_words, Pipeline[Lists, str])
    assert_type(answers | FunctionNode(in_words), Pipeline[Lists, str])
    assert_type(FunctionNode(load) | answers, Pipeline[str, dict[str, list[Answer]]])
    assert_type(FunctionNode(load_anything) | answers, Pipeline[str, dict[str, list[Answer]]])
    assert_type(load | answers, Pipeline[str, dict[str, list[Answer]]])
    BatchProcessor(answers).batch_as_completed([{"items": ["a"]}, {"items": ["a"], "n": 5}])


Lists: TypeAlias = Mapping[str, Iterable[str]] | dict[str, object]


def add_up(total: float, score: float) -> float:
    return total + score


def in_words(output: dict[str, list[Answer]]) -> str:
    return str(output)


async def tokens(prompt: str) -> AsyncIterator[bytes]:
    yield prompt.encode()


def letters(text: str) -> list[str]:
    return list(text)


async def many_outputs(source: Observable[str]) -> None:
    stage = FlatMapNode("tokens", tokens)
    assert_type(stage, FlatMapNode[str, bytes])
    assert_type(FlatMapNode("letters", letters), FlatMapNode[str, str])
    assert_type(FlatMapNode("letters", letters, key=lambda text: text[0]), FlatMapNode[str, str])
    async with stage.stream(["a"]) as outputs:
        assert_type(await anext(outputs), bytes)
    async with stage.stream(["a"], indexed=True) as indexed:
        assert_type((await anext(indexed)).index, int)
        assert_type((await anext(indexed)).value, bytes)
    assert_type(ExpandNode("letters", letters, key=len, max_items=5), ExpandNode[str])
    assert_type(source.pipe(expand(letters, key=len)), Observable[str])


async def untyped_chains(child: BaseNode) -> None:
    chain = MapNode("map", child) | FilterNode("some", lambda item: item["n"] > 1, "results")
    assert_type(chain, ListStage[Any, Any, list[Any]])
    async with chain.stream([1]) as outputs:
        assert_type(await anext(outputs), Any)
    print((await chain.run({"items": [1]}))["filtered"][0]["n"])


def operators(source: Observable[str], stage: MapNode) -> None:
    assert_type(flat_map(ask), Callable[[Observable[str]], Observable[Answer]])
    assert_type(flat_map(judge), Callable[[Observable[Answer]], Observable[float]])
    assert_type(flat_map(Ask()), Callable[[Observable[str]], Observable[Answer]])
    assert_type(source.pipe(flat_map(ask), flat_map(judge)), Observable[float])
    source.pipe(flat_map(slow_length, max_concurrency=5, ordered=True), ops.take(3))
    source.pipe(stage.as_operator(), ops.filter(bool), stage.as_operator(ordered=True))
    shortened: OperatorNode[Answer, str] = OperatorNode(shorten, ops.take(3), input_key="results")
    assert_type(MapNode("map", ask) | shortened, Shortened)
    OperatorNode(ops.map(lambda number: number + 1))
    OperatorNode(ops.buffer_with_count(10), ops.take(3), input_key="results", node_id="tens")


def shorten(texts: Observable[str]) -> Observable[str]:
    return texts


Shortened: TypeAlias = ListStage[str, str, list[str]]


def any_node(make: Callable[[str], Awaitable[Answer]], node: BaseNode) -> None:
    assert_type(BatchProcessor(make), BatchProcessor[str, Answer])
    assert_type(BatchProcessor(node), BatchProcessor)


def telemetry(stage: MapNode[str, Answer], provider: TracerProvider) -> None:
    with instrument(stage, tracer_provider=provider, trace_per_item=True) as reporting:
        assert_type(reporting, Instrumentation)
    assert_type(instrument().uninstrument(), None)
    instrument(BatchProcessor(ask))
    logging.StreamHandler().addFilter(ItemFilter())


async def live_page(stage: MapNode[str, Answer]) -> None:
    dashboard = Dashboard(stage, BatchProcessor(ask), control=True, token="secret", name="Runs")
    async with await dashboard.serve("127.0.0.1", port=8000) as server:
        assert_type(server.url, str)


def testing(stage: MapNode[str, Answer], node: FunctionNode[str, Answer]) -> None:
    service = FlakyService(latency=(0.5, 2), failures=lambda value, attempt: attempt < 3, rate=5)
    assert_type(service.pipe(retry(3)), BaseNode[Any, Any])
    FlakyService(failures=0.1, latency=lambda: 2.0, capacity=3, when_full="wait")
    with asyncio.Runner(loop_factory=virtual_time) as runner, assert_nothing_left():
        assert_type(runner.run(node.run("a")), Answer)
    with record(stage) as seen:
        assert_type(seen["map"].entered[0].time, float)
    check_policy(timeout(5), calls_at_once=2)
    check_policy(lambda: retry(3))
    check_policy(shout_at, max_examples=10)
    check_stage(stage, model=lambda items: items)
    check_stage(lambda work: MapNode("map", work))


def shout_at(node: BaseNode[str, str]) -> BaseNode[str, str]:
    return node


async def diagrams(stage: MapNode[str, Answer]) -> None:
    await marbles("--a|", {"a": Answer("a", 1.0)}, step=0.5).expect(stage.observe(marbles("a|")))
    await marbles("--a|").expect(stage.stream(aiter(marbles("a|", error=OSError()))))


def errors(error: NodeError) -> None:
    assert_type(error.node_id, str)
    assert_type(error.error, str)
    assert_type(error.index, int | None)


async def _asynchronous() -> AsyncIterator[int]:
    yield 1
