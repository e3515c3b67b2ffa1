"""The whole stack of policies against a real server, in a run that is killed again and again."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from nadoo_flow import BatchProcessor, FunctionNode
from nadoo_flow.policies import cache
from notebooks.apps.enrich import CALLS, FAILURES, MODEL, REQUESTS, TOKENS

from ..embedding.processes import PATIENCE, Process
from .enricher import LAG
from .model_server import make_answer
from .printed import start_app

pytestmark = [pytest.mark.slow, pytest.mark.one_python]

PROMPTS, DIFFERENT = 5_000, 1_500
MOMENTS = (
    "refusing for the 1. time",
    "600 prompts are answered",
    "900 prompts are answered",
)
"""What the server says when the run is killed."""
PROBES = 2
"""Most calls of a server that is dead for less than three quarters of a minute."""


def choose_minute() -> float:
    """Return the seconds that are to stand for a minute: one, or more on a machine that is busy."""
    began, used = time.monotonic(), time.process_time()
    while time.process_time() < used + 0.5:
        pass
    return max(1.0, 2 * (time.monotonic() - began))


def make_prompts() -> list[str]:
    """Make prompts of which some are equal; short ones reach one limit, and long ones the other."""
    moments = random.Random(18)
    different = [
        f"town{number} {'briefly please' if number // 250 % 2 == 0 else 'in full detail ' * 20}"
        for number in range(DIFFERENT)
    ]
    numbers = [
        *range(DIFFERENT),
        *(moments.randrange(DIFFERENT) for _ in range(PROMPTS - DIFFERENT)),
    ]
    numbers.sort(key=lambda number: number + moments.uniform(0, 100))
    return [different[number].strip() for number in numbers]


class Life(NamedTuple):
    """What was there when a run was killed.

    Attributes:
        killed: When that was, by the clock of the loops.
        stored: The prompts whose answers were in the cache.
        over: When nothing was on its way any more.
    """

    killed: float
    stored: set[str]
    over: float


async def read_cache(path: Path, prompts: list[str]) -> set[str]:
    """Return the prompts whose answers a cache has."""

    def ask(prompt: str) -> str:
        raise LookupError(prompt)

    node = FunctionNode(ask).pipe(cache(path, version=MODEL))
    results = await BatchProcessor(node, 100).batch(prompts)
    return {result.input_data for result in results if result.success}


def test_a_run_that_is_killed_three_times_asks_for_nothing_twice_and_keeps_within_the_limits(
    tmp_path: Path,
) -> None:
    prompts, answers = make_prompts(), tmp_path / "answers"
    (tmp_path / "prompts").write_text("".join(f"{prompt}\n" for prompt in prompts))
    minute, lives = choose_minute(), []
    with Process(sys.executable, "-m", "tests.apps.model_server", str(minute)) as server:
        server.wait_for("http")
        url = server.said[0].strip()
        command = [sys.executable, "-m", "tests.apps.enricher", str(minute), url]
        command += [str(tmp_path / "prompts"), str(answers)]
        for moment in MOMENTS:
            with Process(*command):
                server.wait_for(moment)
            killed = time.monotonic()
            stored = asyncio.run(read_cache(tmp_path / "answers.cache", sorted(set(prompts))))
            lives.append(Life(killed, stored, time.monotonic()))
        with Process(*command) as run:
            assert run.end(PATIENCE * minute) == 0, run.said
        books = httpx.get(f"{url}/books", timeout=PATIENCE).json()
    assert_every_prompt_has_one_answer(prompts, answers)
    assert_nothing_stored_was_asked_for(books, lives)
    assert_within_limits(books)
    assert_few_calls_while_closed(books)
    used = measure_use(books, lives, minute)
    assert used >= 0.9
    # See it with `pytest -rP`.
    print(
        f"{len(prompts)} prompts, {DIFFERENT} of them different; {len(books['calls'])} calls; "
        f"stored at the ends {[len(life.stored) for life in lives]}; "
        f"most in a minute {books['peaks']} of {[REQUESTS, TOKENS]}, {books['over']} over; "
        f"calls while refusing {[closure['calls'] for closure in books['refusing']]}, "
        f"while dead {[closure['calls'] for closure in books['dead']]}; "
        f"{books['troubles']}; {used:.1%} of the budget used; a minute was {minute:.2f} s"
    )


def assert_every_prompt_has_one_answer(prompts: list[str], answers: Path) -> None:
    lines = [json.loads(line) for line in answers.read_text().splitlines()]
    assert sorted(line["prompt"] for line in lines) == sorted(prompts)
    assert [line for line in lines if line["answer"] != make_answer(line["prompt"])] == []


def assert_nothing_stored_was_asked_for(books: dict[str, Any], lives: list[Life]) -> None:
    assert [len(life.stored) for life in lives] == sorted({len(life.stored) for life in lives})
    for life in lives:
        later = {call["prompt"] for call in books["calls"] if call["time"] > life.over}
        assert later.isdisjoint(life.stored)
    # One for each, another one for those that were in work at an end, and what failed or was slow.
    assert DIFFERENT <= len(books["calls"]) <= 1.1 * DIFFERENT + len(lives) * CALLS


def assert_within_limits(books: dict[str, Any]) -> None:
    assert books["over"] == 0
    requests, tokens = books["peaks"]
    assert requests <= REQUESTS
    assert tokens <= TOKENS


def assert_few_calls_while_closed(books: dict[str, Any]) -> None:
    """Only calls that were on their way arrive, those that open the circuit, and the probes."""
    assert min(books["troubles"].values()) >= 15
    assert len(books["refusing"]) == 2
    for closure in books["refusing"]:
        assert closure["calls"] <= CALLS
    (dead,) = books["dead"]
    assert dead["calls"] <= CALLS + FAILURES + PROBES


def measure_use(books: dict[str, Any], lives: list[Life], minute: float) -> float:
    """Return how much of a window was used, of the unit that was used most, on average.

    Of all windows of the budget in which the run lived, and the server as well.
    """
    calls: list[tuple[float, int]] = [(c["time"], c["tokens"]) for c in books["calls"]]
    per, step = (1 + LAG) * minute, minute / 20
    shares: list[float] = []
    for begin, end in find_open_times(books, lives, minute / 4):
        for number in range(int((end - begin - per) / step)):
            first = begin + number * step
            window = [tokens for moment, tokens in calls if first < moment <= first + per]
            shares.append(max(len(window) / REQUESTS, sum(window) / TOKENS))
    assert len(shares) > 30  # or there was nothing to be seen
    return sum(shares) / len(shares)


def find_open_times(
    books: dict[str, Any], lives: list[Life], recovery: float
) -> Iterator[tuple[float, float]]:
    """Find the times in which the run could call, and had prompts that it had not asked for.

    Args:
        books: Of the server.
        lives: Of the run, but for the last.
        recovery: Seconds after which the run calls a server again that was dead.
    """
    moments = [call["time"] for call in books["calls"]]
    firsts = {call["prompt"]: call["time"] for call in reversed(books["calls"])}
    closed = [(life.killed, next(m for m in moments if m > life.over)) for life in lives]
    closed += [(closure["begin"], closure["end"]) for closure in books["refusing"]]
    closed += [(closure["begin"], closure["end"] + recovery) for closure in books["dead"]]
    begin = moments[0]
    for left, again in sorted(closed):
        yield begin, left
        begin = max(begin, again)
    yield begin, max(firsts.values())


def test_the_app_as_it_is_printed_writes_a_line_for_each_prompt(tmp_path: Path) -> None:
    prompts, answers = tmp_path / "prompts.txt", tmp_path / "answers.jsonl"
    prompts.write_text("\n".join(["why not", "how so", "why not"]))
    with Process(sys.executable, "-m", "tests.apps.model_server", "60") as server:
        server.wait_for("http")
        url = server.said[0].strip()
        given = {"https://models.example.com": url, prompts.name: str(prompts)}
        with start_app("enrich", {**given, answers.name: str(answers)}) as app:
            assert app.end() == 0
        books = httpx.get(f"{url}/books", timeout=PATIENCE).json()
    assert app.said == []
    assert_every_prompt_has_one_answer(["why not", "how so", "why not"], answers)
    assert len(books["calls"]) == 2


def test_a_run_that_goes_on_waits_until_what_the_one_before_has_used_counts_no_more(
    tmp_path: Path,
) -> None:
    minute = 4.0  # longer than a start takes
    prompts, answers = [f"town{number}" for number in range(6)], tmp_path / "answers"
    (tmp_path / "prompts").write_text("\n".join(prompts))
    with Process(sys.executable, "-m", "tests.apps.model_server", str(minute)) as server:
        server.wait_for("http")
        url = server.said[0].strip()
        command = [sys.executable, "-m", "tests.apps.enricher", str(minute), url]
        command += [str(tmp_path / "prompts"), str(answers)]
        with Process(*command):
            while len(httpx.get(f"{url}/books").json()["answers"]) < 3:
                pass
        killed = time.monotonic()
        with Process(*command) as run:
            assert run.end(PATIENCE) == 0, run.said
        calls = httpx.get(f"{url}/books", timeout=PATIENCE).json()["calls"]
    before = max(call["time"] for call in calls if call["time"] <= killed)
    assert min(call["time"] for call in calls if call["time"] > killed) > before + minute
    assert_every_prompt_has_one_answer(prompts, answers)
