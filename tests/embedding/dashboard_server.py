"""A web program with a dashboard, whose runs the tests begin and whose items they let go."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from fastapi import FastAPI

from nadoo_flow import BatchProcessor, FunctionNode, MapNode, NodeResult
from nadoo_flow.dashboard import Dashboard
from nadoo_flow.policies import ConcurrencyLimit, limit, retry

HOSTILE = "</script><img src=x onerror=\"document.title='broken'\">\x00\u202e"
"""The name of a node, and the error of its items."""

gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)


async def answer(prompt: str) -> NodeResult:
    await gates[prompt].wait()
    return NodeResult(
        "bad" not in prompt, prompt.upper(), HOSTILE * 100_000, {"usage": {"tokens": len(prompt)}}
    )


async def suspend(number: int) -> int:
    await asyncio.sleep(0)
    return number


node = FunctionNode(answer, HOSTILE).pipe(limit(ConcurrencyLimit(3)), retry(attempts=2, wait=0))
processor = BatchProcessor(node, max_concurrency=5)
chain = MapNode("first", suspend, "items", "x") | MapNode("second", suspend, "x", "y")
dashboard = Dashboard(processor, chain, control=True, name="Answers")
runs: dict[int, asyncio.Task[Any]] = {}

app = FastAPI()
app.mount("/runs", dashboard)


@app.post("/begin/{number}")
async def begin(number: int, prompts: list[str]) -> None:
    runs[number] = asyncio.create_task(processor.batch(prompts))


@app.post("/gates/{prompt}")
async def open_gate(prompt: str) -> None:
    gates[prompt].set()


@app.get("/results/{number}")
async def get_results(number: int) -> dict[str, Any]:
    results = await runs[number]
    summary = results.summary()
    usage = {name: round(amount) for name, amount in results.usage.items()}
    return {
        "outputs": [result.output for result in results if result.success],
        "finished": summary.successful,
        "failed": summary.failed,
        "usage": usage,
    }


@app.post("/many/{items}")
async def run_many(items: int) -> int:
    count = 0
    async with chain.stream(range(items)) as outputs:
        async for _ in outputs:
            count += 1
    return count


@app.get("/pages")
async def pages() -> int:
    return dashboard.open_pages


@app.get("/closed")
async def closed() -> dict[str, int]:
    """Answer when no page is open any more, and count the tasks that are left."""
    while dashboard.open_pages:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    names = [task.get_name() for task in asyncio.all_tasks()]
    return {"tasks": len(names)}
