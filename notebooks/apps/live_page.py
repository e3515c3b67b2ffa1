"""Watch a long run on a live page: what is in work, how fast it goes, what fails, what it used.

    pip install 'nadoo-flow[web]'
    python live_page.py

Open the address that it prints. The page can drain the run, which finishes what is in work, and so
do Ctrl-C and SIGTERM, for 10 seconds at most. In a web service, mount the dashboard instead:
``app.mount("/runs", dashboard)``.
"""

import asyncio
import random
import signal

from nadoo_flow import BatchProcessor, FunctionNode, NodeResult
from nadoo_flow.dashboard import Dashboard
from nadoo_flow.policies import CircuitBreaker, RateBudget, circuit_breaker, rate_limit, retry

PROMPTS = 3_000
chance = random.Random()


async def ask(prompt):
    await asyncio.sleep(chance.lognormvariate(-1, 0.8))  # stands for a call to a model
    if chance.random() < 0.05:
        raise ConnectionError("the model has hung up")
    tokens = chance.randrange(100, 800)
    return NodeResult(True, prompt.upper(), metadata={"usage": {"tokens": tokens}})


node = FunctionNode(ask).pipe(
    circuit_breaker(CircuitBreaker(failures=10)),
    rate_limit(RateBudget(per=60, requests=1_200)),
    retry(attempts=2, wait=1),
)
processor = BatchProcessor(node, max_concurrency=20)
dashboard = Dashboard(processor, control=True, name="Answers")


async def main():
    loop = asyncio.get_running_loop()
    prompts = [f"prompt {number}" for number in range(PROMPTS)]
    async with (
        await dashboard.serve() as server,
        processor.batch_as_completed(prompts) as results,
    ):
        print(f"The run is shown at {server.url}", flush=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, results.drain, 10)
        finished = [result.success async for result in results]
    print(f"{sum(finished)} of {len(finished)} prompts were answered")


if __name__ == "__main__":
    asyncio.run(main())
