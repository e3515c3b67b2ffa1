"""Policies that break one rule each, as someone might write them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any, TypeAlias

from nadoo_flow import BaseNode, FunctionNode

Run: TypeAlias = Callable[[Any], Awaitable[Any]]
Policy: TypeAlias = Callable[[BaseNode], BaseNode]


def make_policy(around: Callable[[Run, Any], Awaitable[Any]]) -> Policy:
    """Make a policy of a function that calls a node, or not."""

    def policy(node: BaseNode) -> BaseNode:
        async def run(data: Any) -> Any:
            return await around(node.run, data)

        return FunctionNode(run, node.node_id)

    return policy


def sound() -> Policy:
    """Try twice, with a limit of its own, and break nothing."""
    semaphores: dict[Any, asyncio.Semaphore] = {}

    async def around(run: Run, data: Any) -> Any:
        loop = asyncio.get_running_loop()
        async with semaphores.setdefault(loop, asyncio.Semaphore(2)):
            try:
                return await run(data)
            except Exception:
                await asyncio.sleep(1)
                return await run(data)

    return make_policy(around)


def losing() -> Policy:
    async def around(run: Run, data: Any) -> Any:
        answer = await run(data)
        return None if data["number"] % 3 == 2 else answer

    return make_policy(around)


def refusing() -> Policy:
    async def around(run: Run, data: Any) -> Any:
        if data["number"] % 3 == 2:
            raise OSError("not this one")
        return await run(data)

    return make_policy(around)


def swapping() -> Policy:
    last: list[Any] = []

    async def around(run: Run, data: Any) -> Any:
        last.append(await run(data))
        await asyncio.sleep(0)
        return last.pop()

    # The answers of those that come at the same time come back in another order.
    return make_policy(around)


def waiting() -> Policy:
    async def around(run: Run, data: Any) -> Any:
        if data["number"] == 1:
            await asyncio.get_running_loop().create_future()
        return await run(data)

    return make_policy(around)


def spinning() -> Policy:
    async def around(run: Run, data: Any) -> Any:
        while True:
            try:
                return await run(data)
            except Exception:
                await asyncio.sleep(0)

    return make_policy(around)


def doubling() -> Policy:
    async def around(run: Run, data: Any) -> Any:
        first, _ = await asyncio.gather(run(data), run(data))
        return first

    return make_policy(around)


def exceeding() -> Policy:
    async def around(run: Run, data: Any) -> Any:
        # It asks for what may come next too.
        ahead = {**data, "number": 100 + data["number"]}
        answer, _ = await asyncio.gather(run(data), run(ahead))
        return answer

    return make_policy(around)


def swallowing() -> Policy:
    async def around(run: Run, data: Any) -> Any:
        try:
            return await run(data)
        except asyncio.CancelledError:
            return None

    return make_policy(around)


def trying_again_after_a_cancel() -> Policy:
    async def around(run: Run, data: Any) -> Any:
        try:
            return await run(data)
        except BaseException:
            return await run(data)

    return make_policy(around)


def hanging_on_cancel() -> Policy:
    async def around(run: Run, data: Any) -> Any:
        try:
            return await run(data)
        finally:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                await asyncio.get_running_loop().create_future()

    return make_policy(around)


def leaking_on_cancel() -> Policy:
    async def around(run: Run, data: Any) -> Any:
        return await asyncio.shield(asyncio.ensure_future(run(data)))

    return make_policy(around)


def leaking() -> Policy:
    tasks: set[Any] = set()

    async def around(run: Run, data: Any) -> Any:
        tasks.add(asyncio.create_task(asyncio.sleep(60), name="refresher"))
        return await run(data)

    return make_policy(around)


def calling_after_the_end() -> Policy:
    async def around(run: Run, data: Any) -> Any:
        asyncio.get_running_loop().call_later(60, lambda: asyncio.ensure_future(run(data)))
        return await run(data)

    return make_policy(around)


def keeping_its_permit() -> Policy:
    semaphores: dict[Any, asyncio.Semaphore] = {}

    async def around(run: Run, data: Any) -> Any:
        loop = asyncio.get_running_loop()
        semaphore = semaphores.setdefault(loop, asyncio.Semaphore(2))
        await semaphore.acquire()
        try:
            answer = await run(data)
        except Exception:
            semaphore.release()
            raise
        semaphore.release()
        return answer

    return make_policy(around)


def sharing_a_context() -> Policy:
    context = copy_context()

    async def around(run: Run, data: Any) -> Any:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(run(data), context=context)  # type: ignore[arg-type]
        return task.result()

    return make_policy(around)


def bound_to_a_loop() -> Policy:
    lock = asyncio.Lock()

    async def around(run: Run, data: Any) -> Any:
        async with lock:
            return await run(data)

    return make_policy(around)


BROKEN = {
    losing: "R2",
    refusing: "R2",
    swapping: "R2",
    waiting: "105",
    spinning: "105",
    doubling: "R1",
    exceeding: "R1",
    swallowing: "108",
    trying_again_after_a_cancel: "108",
    hanging_on_cancel: "R4",
    leaking_on_cancel: "R4",
    leaking: "313",
    calling_after_the_end: "313",
    keeping_its_permit: "R3",
    sharing_a_context: "R6",
    bound_to_a_loop: "R20",
}
"""The rule that each of them breaks."""
