"""Answer prompts in a browser: each answer is shown as soon as it is there.

Start it, and open http://127.0.0.1:8000:

    pip install 'nadoo-flow[web]'
    uvicorn web:app --timeout-graceful-shutdown 10

A client that goes away cancels its run, and no other. Ctrl-C and SIGTERM let the answers in work be
finished and sent, for 10 seconds at most, and begin no others.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from nadoo_flow import BatchProcessor, BatchResult, ConcurrencyLimit, FunctionNode, Valve
from nadoo_flow.policies import limit

service = ConcurrencyLimit(20)  # over all clients
valve = Valve()


async def answer(prompt):
    await asyncio.sleep(len(prompt) / 10)  # stands for a call to a model
    return prompt.upper()


node = FunctionNode(answer).pipe(limit(service))
processor = BatchProcessor(node, max_concurrency=5, valve=valve)  # 5 for each client


@asynccontextmanager
async def lifespan(app):
    loop = asyncio.get_running_loop()

    def drain(stop_serving, *signal_and_frame):
        loop.call_soon_threadsafe(valve.drain)
        stop_serving(*signal_and_frame)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, partial(drain, signal.getsignal(number)))  # that of uvicorn
    yield
    # Whoever has all permits knows that no call is at work any more.
    for _ in range(service.size):
        await service.acquire()


app = FastAPI(lifespan=lifespan)


# The run is a dependency, since FastAPI closes these in any case, also when a client does not read.
async def run(prompts: list[str]):
    async with processor.batch_as_completed(prompts) as results:
        yield results


@app.post("/batch", response_class=EventSourceResponse)
async def batch(results: Annotated[AsyncIterator[BatchResult], Depends(run)]):
    async for result in results:
        data = {"index": result.index, "output": result.output, "error": result.error}
        yield ServerSentEvent(data=data, id=str(result.index))


@app.get("/", response_class=HTMLResponse)
async def page():
    return PAGE


PAGE = r"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Answers</title>
<meta name="viewport" content="width=device-width">
<style>
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
  body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere }
  textarea, button, progress { box-sizing: border-box; width: 100%; font: inherit; padding: .5rem }
</style>
<form>
  <textarea rows="5" required aria-label="Prompts" placeholder="One prompt a line"></textarea>
  <button>Answer</button>
</form>
<progress value="0" aria-label="Answered"></progress>
<ul aria-live="polite"></ul>
<script>
  const [form, bar, list] = ["form", "progress", "ul"].map((tag) => document.querySelector(tag));
  let running = new AbortController();
  form.onsubmit = async (event) => {
    event.preventDefault();
    running.abort();  // which ends the run of an earlier click
    const {signal} = running = new AbortController();
    const prompts = form.querySelector("textarea").value.split("\n").filter(Boolean);
    const show = (text) => list.appendChild(document.createElement("li")).textContent = text;
    list.replaceChildren();
    [bar.value, bar.max] = [0, prompts.length];
    try {
      const headers = {"Content-Type": "application/json"};
      const request = {method: "POST", headers, body: JSON.stringify(prompts), signal};
      const response = await fetch("/batch", request);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = "", part = await reader.read(); !part.done; part = await reader.read()) {
        const events = (text + part.value).split("\n\n");
        text = events.pop();
        for (const event of events.filter((event) => event.startsWith("data: "))) {
          const result = JSON.parse(event.split("\n")[0].slice(6));
          show(`${prompts[result.index]}: ${result.output ?? result.error}`);
          bar.value += 1;
        }
      }
    } catch (error) {
      if (!signal.aborted) show(`The answers have broken off: ${error.message}`);
    }
  };
</script>
"""
