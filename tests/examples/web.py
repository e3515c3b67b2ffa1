"""Answer prompts in a browser: each answer is shown as soon as it is there."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from nadoo_flow import BatchProcessor, BatchResult, ConcurrencyLimit, FunctionNode, Valve
from nadoo_flow.policies import limit

service = ConcurrencyLimit(20)  # over all clients
valve = Valve()


async def answer(prompt):
    await asyncio.sleep(len(prompt) / 10)  # stands for a call to a model
    return prompt.upper()


node = FunctionNode(answer).pipe(limit(service))
processor = BatchProcessor(node, max_concurrency=5, valve=valve)


@asynccontextmanager
async def lifespan(app):
    loop, stop_serving = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)

    def drain(*signal_and_frame):
        loop.call_soon_threadsafe(valve.drain)
        if callable(stop_serving):  # as uvicorn's own handler is
            stop_serving(*signal_and_frame)

    signal.signal(signal.SIGTERM, drain)
    yield
    # Who has all permits knows that no call is at work any more.
    for _ in range(service.size):
        await service.acquire()


app = FastAPI(lifespan=lifespan)


async def run(prompts: list[str]):
    async with processor.batch_as_completed(prompts) as results:
        yield results


@app.post("/batch", response_class=EventSourceResponse)
async def batch(results: Annotated[AsyncIterator[BatchResult], Depends(run)]):
    async for result in results:
        data = {"index": result.index, "output": result.output, "error": result.error}
        yield ServerSentEvent(data=data, id=str(result.index))


@app.get("/")
async def page():
    return FileResponse(Path(__file__).with_name("page.html"))
