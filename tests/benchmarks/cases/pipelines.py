"""Several stages one after the other, each with a concurrency of its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from ..model import Case, Contestant, Outcome, Params, Peer, Run, as_measured, us_per_item
from ..nodes import Input
from ..peer_ways import awaited, mapped
from ..peers import AIOSTREAM, LANGCHAIN, REACTIVEX

Stage: TypeAlias = Callable[[Input], Awaitable[Input]]
PipelineWay: TypeAlias = Callable[
    [Sequence[Stage], int], Callable[[list[Input]], Awaitable[list[Input]]]
]

FUSED = "nadoo-flow, a | b"
BY_HAND = "asyncio by hand: workers and queues"


def _stage(number: int) -> Stage:
    async def stage(data: Input) -> Input:
        await asyncio.sleep(data["seconds"][number])
        return {"n": data["n"] + 1, "seconds": data["seconds"]}

    return stage


def _inputs(params: Params) -> list[Input]:
    """Make inputs that know how long each stage will take."""
    numbers = random.Random(1)
    mean = 0.0 if params["latency"] == "none" else 0.005
    return [
        {
            "n": n,
            "seconds": [
                min(mean * numbers.lognormvariate(0, 1.2), 0.5) for _ in range(params["stages"])
            ],
        }
        for n in range(params["n"])
    ]


def _expected(params: Params) -> list[int]:
    n = params["n"]
    return [n, n * (n - 1) // 2 + n * params["stages"]]


def _map_nodes(stages: Sequence[Stage], concurrency: int) -> list[Any]:
    from nadoo_flow import MapNode

    return [
        MapNode(f"stage {number}", stage, f"list {number}", f"list {number + 1}", concurrency)
        for number, stage in enumerate(stages)
    ]


async def _executed(node: Any, items: list[Input]) -> list[Input]:
    from nadoo_flow import NodeContext, WorkflowContext

    result = await node.execute(NodeContext({node.input_key: items}), WorkflowContext())
    outputs: list[Input] = result.output[node.output_key]
    return outputs


def fused(stages: Sequence[Stage], concurrency: int) -> Callable[..., Awaitable[list[Input]]]:
    first, *others = _map_nodes(stages, concurrency)
    for node in others:
        first = first | node
    return partial(_executed, first)


def one_by_one(stages: Sequence[Stage], concurrency: int) -> Callable[..., Awaitable[list[Input]]]:
    nodes = _map_nodes(stages, concurrency)

    async def run(items: list[Input]) -> list[Input]:
        for node in nodes:
            items = await _executed(node, items)
        return items

    return run


def by_hand(stages: Sequence[Stage], concurrency: int) -> Callable[..., Awaitable[list[Input]]]:
    async def run(items: list[Input]) -> list[Input]:
        outputs: list[Input] = []
        ended = asyncio.get_running_loop().create_future()
        queues: list[asyncio.Queue[Input]] = [asyncio.Queue() for _ in stages]
        for data in items:
            queues[0].put_nowait(data)

        def put_output(data: Input) -> None:
            outputs.append(data)
            if len(outputs) == len(items):
                ended.set_result(None)

        puts = [queue.put_nowait for queue in queues[1:]] + [put_output]

        async def worker(stage: Stage, queue: asyncio.Queue[Input], put: Any) -> None:
            while True:
                put(await stage(await queue.get()))

        lanes = [
            asyncio.create_task(worker(*work))
            for work in zip(stages, queues, puts, strict=True)
            for _ in range(concurrency)
        ]
        await ended
        for lane in lanes:
            lane.cancel()
        await asyncio.wait(lanes)
        return outputs

    return run


def langchain(stages: Sequence[Stage], concurrency: int) -> Callable[..., Awaitable[list[Input]]]:
    from langchain_core.runnables import RunnableLambda

    sequence: Any = RunnableLambda(stages[0])
    for stage in stages[1:]:
        sequence = sequence | RunnableLambda(stage)
    return lambda items: sequence.abatch(items, {"max_concurrency": concurrency})


def aiostream(stages: Sequence[Stage], concurrency: int) -> Callable[..., Awaitable[list[Input]]]:
    from aiostream import pipe, stream

    async def run(items: list[Input]) -> list[Input]:
        chain = stream.iterate(items)
        for stage in stages:
            chain = chain | pipe.map(stage, ordered=False, task_limit=concurrency)
        async with chain.stream() as results:
            return [data async for data in results]

    return run


def reactivex(stages: Sequence[Stage], concurrency: int) -> Callable[..., Awaitable[list[Input]]]:
    import reactivex as rx

    async def run(items: list[Input]) -> list[Input]:
        outputs: list[Input] = []
        operators = [operator for stage in stages for operator in mapped(stage, concurrency)]
        await awaited(rx.from_iterable(items).pipe(*operators), outputs.append)
        return outputs

    return run


def _prepare(way: PipelineWay, params: Params) -> Run:
    run = way([_stage(number) for number in range(params["stages"])], params["concurrency"])
    given = _inputs(params)

    async def once() -> Outcome:
        outputs = await run(given)
        return Outcome([len(outputs), sum(data["n"] for data in outputs)])

    return once


def _contestant(name: str, way: PipelineWay, peer: Peer | None = None) -> Contestant:
    return Contestant(name, partial(_prepare, way), peer)


def _case(name: str, title: str, latency: str, n: int, concurrency: int) -> Case:
    return Case(
        module=__name__,
        name=name,
        title=title,
        unit="us/item" if latency == "none" else "s",
        variants=tuple(
            {"n": n, "concurrency": concurrency, "stages": stages, "latency": latency}
            for stages in (2, 3)
        ),
        contestants=(
            _contestant(FUSED, fused),
            _contestant("nadoo-flow, one stage after the other", one_by_one),
            _contestant(BY_HAND, by_hand),
            _contestant("aiostream chain of map(task_limit)", aiostream, AIOSTREAM),
            _contestant("reactivex chain of merge(max_concurrent)", reactivex, REACTIVEX),
            _contestant("LangChain RunnableSequence.abatch", langchain, LANGCHAIN),
        ),
        expected=_expected,
        figure=us_per_item if latency == "none" else as_measured,
        never_waits=latency == "none",
    )


CASES = (
    _case("pipeline", "Makespan of stages that sleep 10 ms on average", "heavy-tailed", 3_000, 20),
    _case("pipeline-cost", "Cost of an item through stages that suspend once", "none", 30_000, 10),
)
