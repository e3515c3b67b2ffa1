"""Batches whose size follows the time that they take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable
from contextlib import AsyncExitStack, ExitStack, aclosing
from typing import Any, Generic, overload

from .._support.checks import check_positive_number, describe_value, is_list_like
from .._support.typevars import Input, Output
from ..nodes.context import WorkflowContext
from ..nodes.node import Answering, AsyncFunction, Function, NodeLike, as_node
from ..results.batch_result import BatchResult
from .processor import BatchProcessor


class DynamicBatchProcessor(Generic[Input, Output]):
    """Process items in batches, each all at once, whose size follows the time that they take.

    The size begins at 10. It doubles, up to 100, after a batch that took under 0.8 of the target,
    and halves, down to 1, after one that took over 1.2 of it.

    Args:
        node: A node or a function.
        target_time: Seconds that a batch should take.

    Attributes:
        batch_size: The size of the next batch.

    Raises:
        TypeError: At the call, if the node is none, or an argument is of a wrong type.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> processor = DynamicBatchProcessor(str.upper, target_time=1.0)
        >>> [result.output for result in asyncio.run(processor.process(["a", "b"]))]
        ['A', 'B']
        >>> processor.batch_size
        20
    """

    FIRST_SIZE = 10
    MAX_SIZE = 100

    @overload
    def __init__(self, node: Answering[Input, Output], target_time: float = 1.0) -> None: ...
    @overload
    def __init__(self, node: AsyncFunction[Input, Output], target_time: float = 1.0) -> None: ...
    @overload
    def __init__(self, node: Function[Input, Output], target_time: float = 1.0) -> None: ...
    def __init__(self, node: NodeLike, target_time: float = 1.0) -> None:
        self.node = as_node(node, "node")
        self.target_time = check_positive_number(target_time, "target_time")
        self.batch_size = self.FIRST_SIZE

    def __repr__(self) -> str:
        target = f"target_time={self.target_time:g}"
        return f"{type(self).__name__}({self.node!r}, {target}, batch_size={self.batch_size})"

    async def process(
        self,
        items: Iterable[Input] | AsyncIterable[Input],
        workflow_context: WorkflowContext | None = None,
    ) -> list[BatchResult[Input, Output]]:
        """Process all items and return their results in order; a failed one is among them.

        Args:
            items: An iterable or async iterable, pulled batch by batch.
            workflow_context: State that all batches share; a fresh one by default.
        """
        time = asyncio.get_running_loop().time
        shared = WorkflowContext() if workflow_context is None else workflow_context
        results: list[BatchResult[Input, Output]] = []
        async with aclosing(_iterate(items)) as remaining:
            while batch := await _take(remaining, self.batch_size):
                started = time()
                processor = BatchProcessor(self.node, max_concurrency=len(batch))
                for result in await processor.batch(batch, shared):
                    result.index = len(results)
                    results.append(result)
                self._adjust(time() - started)
        return results

    def _adjust(self, elapsed: float) -> None:
        if elapsed < 0.8 * self.target_time:
            self.batch_size = min(2 * self.batch_size, self.MAX_SIZE)
        elif elapsed > 1.2 * self.target_time:
            self.batch_size = max(self.batch_size // 2, 1)


async def _iterate(items: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
    if isinstance(items, AsyncIterable):
        async with AsyncExitStack() as closing:
            if isinstance(items, AsyncGenerator):
                await closing.enter_async_context(aclosing(items))
            async for item in items:
                yield item
    elif is_list_like(items):
        with ExitStack() as closing_at_once:
            if isinstance(items, Generator):
                closing_at_once.callback(items.close)
            for item in items:
                yield item
    else:
        raise TypeError(f"items must be an iterable or async iterable, got {describe_value(items)}")


async def _take(items: AsyncIterator[Any], count: int) -> list[Any]:
    taken: list[Any] = []
    while len(taken) < count:
        try:
            taken.append(await anext(items))
        except StopAsyncIteration:
            break
    return taken
