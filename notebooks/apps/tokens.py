"""Write several answers in a browser at once: each token is shown as soon as it is there.

Start it, and open http://127.0.0.1:8000:

    pip install 'nadoo-flow[web]'
    uvicorn tokens:app --timeout-graceful-shutdown 10

Closing the tab cancels its answers, and no others.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from nadoo_flow import FlatMapNode


async def write(prompt):
    for word in prompt.split():
        await asyncio.sleep(0.2)  # stands for a model that writes
        yield word.upper()


answers = FlatMapNode("answers", write, max_concurrency=5, continue_on_error=True)
app = FastAPI()


# The run is a dependency, since FastAPI closes these in any case, also when a client does not read.
async def run(prompts: list[str]):
    async with answers.stream(prompts, indexed=True) as tokens:
        yield tokens


@app.post("/answers", response_class=EventSourceResponse)
async def stream(tokens: Annotated[AsyncIterator, Depends(run)]):
    async for index, token in tokens:
        yield ServerSentEvent(data={"index": index, "token": token})


@app.get("/", response_class=HTMLResponse)
async def page():
    return PAGE


PAGE = r"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Answers as they grow</title>
<meta name="viewport" content="width=device-width">
<style>
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
  body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere }
  textarea, button { box-sizing: border-box; width: 100%; font: inherit; padding: .5rem }
  dt { font-weight: bold; margin-top: 1rem }
</style>
<form>
  <textarea rows="5" required aria-label="Prompts" placeholder="One prompt a line"></textarea>
  <button>Answer</button>
</form>
<dl aria-live="polite"></dl>
<p role="status"></p>
<script>
  const [form, list, status] = ["form", "dl", "p"].map((tag) => document.querySelector(tag));
  let running = new AbortController();
  const append = (name, text = "") => {
    const element = list.appendChild(document.createElement(name));
    element.textContent = text;
    return element;
  };
  form.onsubmit = async (event) => {
    event.preventDefault();
    running.abort();  // which ends the answers of an earlier click
    const {signal} = running = new AbortController();
    const prompts = form.querySelector("textarea").value.split("\n").filter(Boolean);
    list.replaceChildren();
    status.textContent = "";
    const answers = prompts.map((prompt) => (append("dt", prompt), append("dd")));
    try {
      const headers = {"Content-Type": "application/json"};
      const request = {method: "POST", headers, body: JSON.stringify(prompts), signal};
      const response = await fetch("/answers", request);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = "", part = await reader.read(); !part.done; part = await reader.read()) {
        const events = (text + part.value).split("\n\n");
        text = events.pop();
        for (const event of events.filter((event) => event.startsWith("data: "))) {
          const {index, token} = JSON.parse(event.split("\n")[0].slice(6));
          answers[index].textContent += `${token} `;
        }
      }
    } catch (error) {
      if (!signal.aborted) status.textContent = `The answers have broken off: ${error.message}`;
    }
  };
</script>
"""
