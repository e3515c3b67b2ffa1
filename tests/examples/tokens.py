"""Write several answers in a browser at once: each token is shown as soon as it is there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from nadoo_flow import FlatMapNode


async def write(prompt):
    for word in prompt.split():
        await asyncio.sleep(0.2)  # stands for a model that writes
        yield word.upper()


answers = FlatMapNode("answers", write, max_concurrency=5, continue_on_error=True)
app = FastAPI()


async def run(prompts: list[str]):
    async with answers.stream(prompts, indexed=True) as tokens:
        yield tokens


@app.post("/answers", response_class=EventSourceResponse)
async def stream(tokens: Annotated[AsyncIterator, Depends(run)]):
    async for index, token in tokens:
        yield ServerSentEvent(data={"index": index, "token": token})


@app.get("/")
async def page():
    return FileResponse(Path(__file__).with_name("tokens.html"))
