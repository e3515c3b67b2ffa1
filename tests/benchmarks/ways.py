"""Ways to run a node over many inputs: ours, the peers', and the least that asyncio needs.

A way that gives its results one by one is a :class:`Stream`; the others return them all. Both kinds
are folded into the same total. Imports are inside, since no process has all of the packages.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any, TypeAlias

from .model import Contestant, Outcome, Params, Peer, Run
from .nodes import Input, Total
from .peers import AIOMETER, AIOSTREAM, LANGCHAIN, NADOO_FLOW_CORE, REACTIVEX

Inputs: TypeAlias = Iterable[Input]
Way: TypeAlias = Callable[[Any, int], Callable[[Inputs], Coroutine[Any, Any, Total]]]
"""Takes a node and a concurrency, returns what runs it over inputs."""


@dataclass(frozen=True)
class Stream:
    """Results one by one.

    Attributes:
        open: Starts over inputs; leaving the context closes it.
        output: Takes the node's output out of a result.
    """

    open: Callable[[Inputs], AbstractAsyncContextManager[AsyncIterator[Any]]]
    output: Callable[[Any], int] = attrgetter("output")


StreamWay: TypeAlias = Callable[[Any, int], Stream]
ListWay: TypeAlias = Callable[[Any, int], Callable[[Inputs], Awaitable[list[Any]]]]


def ours_as_completed(node: Any, concurrency: int) -> Stream:
    from nadoo_flow import BatchProcessor

    return Stream(BatchProcessor(node, concurrency).batch_as_completed)


def ours_batch(node: Any, concurrency: int) -> Callable[[Inputs], Awaitable[list[Any]]]:
    from nadoo_flow import BatchProcessor

    return BatchProcessor(node, concurrency).batch


def bare_pool(node: Any, concurrency: int) -> Callable[[Inputs], Coroutine[Any, Any, Total]]:
    """Return what nobody can beat: worker tasks on one shared iterator, and nothing else."""
    from nadoo_flow import NodeContext, WorkflowContext

    async def run(inputs: Inputs) -> Total:
        items, shared, execute = iter(inputs), WorkflowContext(), node.execute
        count = total = 0

        async def worker() -> None:
            nonlocal count, total
            for data in items:
                result = await execute(NodeContext(data), shared)
                count += 1
                total += result.output

        await asyncio.gather(*(worker() for _ in range(concurrency)))
        return count, total

    return run


def core_as_completed(node: Any, concurrency: int) -> Stream:
    from nadoo_flow import BatchProcessor

    processor = BatchProcessor(node, concurrency)
    return Stream(lambda inputs: aclosing(processor.batch_as_completed(inputs)))


def gather(node: Any, concurrency: int) -> Callable[[Inputs], Awaitable[list[Any]]]:
    call = calling(node)

    async def run(inputs: Inputs) -> list[Any]:
        semaphore = asyncio.Semaphore(concurrency)

        async def one(data: Input) -> Any:
            async with semaphore:
                return await call(data)

        return await asyncio.gather(*map(one, inputs))

    return run


def aiometer_amap(node: Any, concurrency: int) -> Stream:
    from aiometer import amap

    call = calling(node)
    return Stream(lambda inputs: amap(call, as_list(inputs), max_at_once=concurrency))


def aiostream_map(node: Any, concurrency: int) -> Stream:
    from aiostream import stream

    call = calling_async(node)
    settings = {"ordered": False, "task_limit": concurrency}
    return Stream(lambda inputs: stream.map(stream.iterate(inputs), call, **settings).stream())


def reactivex_merge(node: Any, concurrency: int) -> Callable[[Inputs], Coroutine[Any, Any, Total]]:
    import reactivex as rx

    call = calling(node)

    async def run(inputs: Inputs) -> Total:
        count = total = 0

        def on_next(result: Any) -> None:
            nonlocal count, total
            count += 1
            total += result.output

        await awaited(rx.from_iterable(inputs).pipe(*mapped(call, concurrency)), on_next)
        return count, total

    return run


def mapped(call: Callable[[Any], Any], concurrency: int) -> tuple[Any, Any]:
    """Return the stock operators that map through a coroutine, so many at a time."""
    import reactivex as rx
    from reactivex import operators as ops

    loop = asyncio.get_running_loop()

    def started(data: Any) -> Any:
        return rx.defer(lambda _: rx.from_future(loop.create_task(call(data))))

    return ops.map(started), ops.merge(max_concurrent=concurrency)


async def awaited(observable: Any, on_next: Callable[[Any], None]) -> None:
    """Await the end of an Observable."""
    ended = asyncio.get_running_loop().create_future()
    chain = observable.subscribe(on_next, ended.set_exception, lambda: ended.set_result(None))
    try:
        await ended
    finally:
        chain.dispose()


def langchain_as_completed(node: Any, concurrency: int) -> Stream:
    from langchain_core.runnables import RunnableLambda

    runnable, config = RunnableLambda(calling_async(node)), {"max_concurrency": concurrency}

    def opened(inputs: Inputs) -> Any:
        return aclosing(runnable.abatch_as_completed(as_list(inputs), config))

    return Stream(opened, lambda pair: pair[1].output)


def langchain_abatch(node: Any, concurrency: int) -> Callable[[Inputs], Awaitable[list[Any]]]:
    from langchain_core.runnables import RunnableLambda

    runnable, config = RunnableLambda(calling_async(node)), {"max_concurrency": concurrency}
    return lambda inputs: runnable.abatch(as_list(inputs), config)


def calling(node: Any) -> Callable[[Input], Any]:
    """Return the node as a function that makes a coroutine."""
    from nadoo_flow import NodeContext, WorkflowContext

    execute, shared = node.execute, WorkflowContext()
    return lambda data: execute(NodeContext(data), shared)


def calling_async(node: Any) -> Callable[[Input], Any]:
    """Return the node as an async function, for those who look at what they are given."""
    call = calling(node)

    async def called(data: Input) -> Any:
        return await call(data)

    return called


def as_list(inputs: Inputs) -> list[Input]:
    """Return a list, which some need, without a copy of one."""
    return inputs if isinstance(inputs, list) else list(inputs)


def folded(make: StreamWay) -> Way:
    """Consume a stream of results as they come."""

    def way(node: Any, concurrency: int) -> Callable[[Inputs], Coroutine[Any, Any, Total]]:
        stream = make(node, concurrency)

        async def run(inputs: Inputs) -> Total:
            output, count, total = stream.output, 0, 0
            async with stream.open(inputs) as results:
                async for result in results:
                    count += 1
                    total += output(result)
            return count, total

        return run

    return way


def collected(make: ListWay) -> Way:
    """Take the list of all results."""

    def way(node: Any, concurrency: int) -> Callable[[Inputs], Coroutine[Any, Any, Total]]:
        collect = make(node, concurrency)

        async def run(inputs: Inputs) -> Total:
            results = await collect(inputs)
            return len(results), sum(result.output for result in results)

        return run

    return way


def over(run: Callable[[Inputs], Awaitable[Total]], given: Inputs) -> Run:
    """Make what is timed: one run over the inputs."""

    async def once() -> Outcome:
        return Outcome(await run(given))

    return once


OURS_BATCH = "nadoo-flow batch"
OURS = "nadoo-flow batch_as_completed"
BARE = "bare asyncio pool"
CORE_BATCH = "nadoo-flow-core batch"
CORE = "nadoo-flow-core batch_as_completed"
RX = "reactivex merge(max_concurrent)"
LANGCHAIN_ABATCH = "LangChain abatch"

STREAMS: dict[str, tuple[Peer | None, StreamWay]] = {
    OURS: (None, ours_as_completed),
    CORE: (NADOO_FLOW_CORE, core_as_completed),
    "aiometer amap": (AIOMETER, aiometer_amap),
    "aiostream map(task_limit)": (AIOSTREAM, aiostream_map),
    "LangChain abatch_as_completed": (LANGCHAIN, langchain_as_completed),
}

LISTS: dict[str, tuple[Peer | None, ListWay]] = {
    OURS_BATCH: (None, ours_batch),
    CORE_BATCH: (NADOO_FLOW_CORE, ours_batch),
    "asyncio.gather + Semaphore": (None, gather),
    LANGCHAIN_ABATCH: (LANGCHAIN, langchain_abatch),
}

WAYS: dict[str, tuple[Peer | None, Way]] = {
    **{name: (peer, collected(make)) for name, (peer, make) in LISTS.items()},
    **{name: (peer, folded(make)) for name, (peer, make) in STREAMS.items()},
    BARE: (None, bare_pool),
    RX: (REACTIVEX, reactivex_merge),
}


def contestants(
    ways: dict[str, tuple[Peer | None, Any]],
    prepare: Callable[[Any, Params], Run],
    first: str | None = None,
) -> tuple[Contestant, ...]:
    """Make a contestant of each way.

    Args:
        ways: One of the tables above.
        prepare: Makes a run of a way, for one variant of a case.
        first: The contestant that the others are related to; the first of the ways by default.
    """
    names = sorted(ways, key=lambda name: name != first)
    return tuple(Contestant(name, partial(prepare, ways[name][1]), ways[name][0]) for name in names)
