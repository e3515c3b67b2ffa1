"""Ways of the peers to run a node or a function over many inputs.

Imports are inside, since no process has all of the packages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from inspect import iscoroutinefunction
from operator import attrgetter
from typing import Any

from .nodes import Input, Total
from .shapes import Inputs, Listing, Stream


def core_batch(work: Any, concurrency: int) -> Listing:
    from nadoo_flow import BatchProcessor

    return Listing(BatchProcessor(core_node(work), concurrency).batch)


def core_as_completed(work: Any, concurrency: int) -> Stream:
    from nadoo_flow import BatchProcessor

    processor = BatchProcessor(core_node(work), concurrency)
    return Stream(lambda inputs: aclosing(processor.batch_as_completed(inputs)))


def core_node(work: Any) -> Any:
    """Return a node as it is, and wrap a function, which nadoo-flow-core does not take."""
    from nadoo_flow import FunctionNode

    return work if is_node(work) else FunctionNode(work)


def gather(work: Any, concurrency: int) -> Listing:
    call = calling(work)

    async def run(inputs: Inputs) -> list[Any]:
        semaphore = asyncio.Semaphore(concurrency)

        async def one(data: Input) -> Any:
            async with semaphore:
                return await call(data)

        return await asyncio.gather(*map(one, inputs))

    return Listing(run, reading(work))


def aiometer_amap(work: Any, concurrency: int) -> Stream:
    from aiometer import amap

    call = calling(work)
    return Stream(
        lambda inputs: amap(call, as_list(inputs), max_at_once=concurrency), reading(work)
    )


def aiostream_map(work: Any, concurrency: int) -> Stream:
    from aiostream import stream

    call = calling_async(work)
    settings = {"ordered": False, "task_limit": concurrency}
    return Stream(
        lambda inputs: stream.map(stream.iterate(inputs), call, **settings).stream(), reading(work)
    )


def reactivex_merge(work: Any, concurrency: int) -> Callable[[Inputs], Coroutine[Any, Any, Total]]:
    import reactivex as rx

    call, output = calling(work), reading(work)

    async def run(inputs: Inputs) -> Total:
        count = total = 0

        def on_next(result: Any) -> None:
            nonlocal count, total
            count += 1
            total += output(result)

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


def langchain_as_completed(work: Any, concurrency: int) -> Stream:
    from langchain_core.runnables import RunnableLambda

    runnable, config = RunnableLambda(calling_async(work)), {"max_concurrency": concurrency}
    output = reading(work)

    def opened(inputs: Inputs) -> Any:
        return aclosing(runnable.abatch_as_completed(as_list(inputs), config))

    return Stream(opened, lambda pair: output(pair[1]))


def langchain_abatch(work: Any, concurrency: int) -> Listing:
    from langchain_core.runnables import RunnableLambda

    runnable, config = RunnableLambda(calling_async(work)), {"max_concurrency": concurrency}
    return Listing(lambda inputs: runnable.abatch(as_list(inputs), config), reading(work))


def is_node(work: Any) -> bool:
    """Say whether it is a node, and not a function."""
    return hasattr(work, "execute")


def calling(work: Any) -> Callable[[Input], Any]:
    """Return a function that makes a coroutine; an async function is one."""
    if not is_node(work):
        return calling_async(work)
    from nadoo_flow import NodeContext, WorkflowContext

    execute, shared = work.execute, WorkflowContext()
    return lambda data: execute(NodeContext(data), shared)


def calling_async(work: Any) -> Callable[[Input], Any]:
    """Return an async function, for those who look at what they are given."""
    if iscoroutinefunction(work):
        return work
    if not is_node(work):

        async def called_at_once(data: Input) -> Any:
            return work(data)

        return called_at_once
    call = calling(work)

    async def called(data: Input) -> Any:
        return await call(data)

    return called


def reading(work: Any) -> Callable[[Any], int]:
    """Return what takes the output out of what a peer gives back."""
    return attrgetter("output") if is_node(work) else _take_as_it_is


def _take_as_it_is(output: int) -> int:
    return output


def as_list(inputs: Inputs) -> list[Input]:
    """Return a list, which some need, without a copy of one."""
    return inputs if isinstance(inputs, list) else list(inputs)
