"""Have a model answer thousands of prompts: pay for no stored answer again, pass no limit.

``prompts.txt`` has a prompt in each line, and ``answers.jsonl`` gets a line of JSON for each:

    pip install nadoo-flow httpx
    python enrich.py https://models.example.com prompts.txt answers.jsonl

Ctrl-C and SIGTERM end it when the calls in work are answered, or after a minute. Start it again,
also when it was killed, and it goes on where it was. What belongs to your API is in the constants,
``ask``, ``estimate``, ``read_used`` and ``is_hopeless``.
``python -m tests.apps.model_server 60`` prints the URL of a server to try it with.
"""

import asyncio
import json
import os
import signal
import sys

import httpx
from tenacity import wait_random_exponential

from nadoo_flow import BatchProcessor, ConcurrencyLimit, FunctionNode, NodeResult
from nadoo_flow.policies import (
    CircuitBreaker,
    RateBudget,
    RetryBudget,
    cache,
    circuit_breaker,
    hedge,
    limit,
    rate_limit,
    retry,
    timeout,
)

MODEL = "model 4, prompt 2"
MINUTE = 60.0
REQUESTS, TOKENS = 250, 15_000  # in a minute
LONGEST = 40  # tokens of an answer
LAG = 1.0  # seconds from the start of a call to the server's clock, at most
CALLS = 40  # at a time
FAILURES = 10  # after which the service is taken to be down


def estimate(prompt):
    return {"tokens": len(prompt.split()) + LONGEST}  # as if each word were one


def read_used(result):
    return {"tokens": result.metadata["usage"]["tokens"]}


def is_hopeless(error):
    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code in (400, 401)


def make_node(client, budget, answers):
    async def ask(prompt):
        response = await client.post("/answers", json={"prompt": prompt, "longest": LONGEST})
        response.raise_for_status()
        found = response.json()
        return NodeResult(True, found["answer"], metadata={"usage": {"tokens": found["tokens"]}})

    service = CircuitBreaker(FAILURES, recovery=MINUTE / 4, counts=httpx.TransportError)
    return FunctionNode(ask, "ask").pipe(
        timeout(MINUTE),
        rate_limit(budget, estimate=estimate, actual=read_used),
        circuit_breaker(service, wait=True),
        limit(ConcurrencyLimit(CALLS)),
        hedge(after=MINUTE / 4),
        retry(
            attempts=10,
            wait=wait_random_exponential(multiplier=MINUTE / 60, max=MINUTE),
            give_up_on=is_hopeless,
            budget=RetryBudget(ratio=0.2, minimum=2 * CALLS),
        ),
        cache(f"{answers}.cache", version=MODEL),
    )


async def enrich(url, prompts, answers, file, goes_on):
    loop = asyncio.get_running_loop()
    # A call counts there when it arrives, so the window is a bit longer here.
    budget = RateBudget(per=MINUTE + LAG, requests=REQUESTS, tokens=TOKENS)
    if goes_on:
        budget.pause(budget.per)  # until what the process before this one has used counts no more
    async with httpx.AsyncClient(base_url=url, timeout=None) as client:
        node = make_node(client, budget, answers)
        checkpoint = f"{answers}.checkpoint"
        processor = BatchProcessor(node, 10 * CALLS, checkpoint=checkpoint, progress=True)
        async with processor.batch_as_completed(prompts) as results:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, results.drain, MINUTE)
            async for result in results:
                answer = {"answer": result.output, "error": result.error}
                print(json.dumps({"prompt": result.input_data, **answer}), file=file)


def main(url, prompts, answers):
    goes_on = os.path.exists(f"{answers}.checkpoint")
    with open(prompts) as lines, open(answers, "w") as file:
        asyncio.run(enrich(url, lines.read().splitlines(), answers, file, goes_on))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
