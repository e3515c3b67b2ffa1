"""A service that is down is left alone, until a probe finds it working."""

from __future__ import annotations

import asyncio
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from typing import Any

import pytest

from nadoo_flow import BaseNode, BatchProcessor, ConcurrencyLimit, FunctionNode, NodeResult
from nadoo_flow.policies import (
    CircuitBreaker,
    CircuitChange,
    CircuitOpen,
    circuit_breaker,
    limit,
    rate_limit,
    retry,
    timeout,
)
from nadoo_flow.testing import FlakyService

from ..stand_ins import log_of_the_loop, now, raised_by, slowly
from .services import outcome


def make_service(down: tuple[float, float], seconds: float = 1.0) -> FlakyService:
    """Make a service that is down between two times."""

    def refuse(value: Any, attempt: int) -> ConnectionError | None:
        return ConnectionError("refused") if down[0] <= now() < down[1] else None

    return FlakyService(latency=seconds, failures=refuse, node_id="service")


FOREVER = (0.0, float("inf"))


async def test_a_dead_service_gets_few_calls() -> None:
    service = make_service(FOREVER)
    breaker = CircuitBreaker(failures=5, recovery=30)
    node = service.pipe(circuit_breaker(breaker))
    results = await BatchProcessor(node, max_concurrency=10).batch(range(1000))
    # Ten at first, and one more for each of the four failures before it opens.
    assert len(service.started) == 14
    assert breaker.state == "open"
    errors = [result.error for result in results]
    assert errors.count("ConnectionError: refused") == 14
    assert errors[-1] == (
        "CircuitOpen: the service is not called, the next probe in 30 s; "
        "its last error: ConnectionError: refused"
    )


@pytest.mark.parametrize("wait", [False, True])
async def test_inside_a_limit_it_lets_few_items_pass_that_the_limit_holds_up(wait: bool) -> None:
    # Around the limit, all that wait for a permit when the service dies would call it.
    service = make_service((0, 1_000))
    breaker = circuit_breaker(CircuitBreaker(failures=5, recovery=2_000), wait)
    node = service.pipe(rate_limit(20), breaker, limit(ConcurrencyLimit(10)))
    results = await BatchProcessor(node, max_concurrency=200).batch(range(1_000))
    calls = [time for time in service.started if time < 1_000]
    assert len(calls) == 14
    assert len(results.outputs) == (986 if wait else 0)


@pytest.mark.parametrize("order", [1, -1], ids=["it is first", "the probe is first"])
async def test_an_item_that_holds_what_the_probe_needs_does_not_wait_for_it(order: int) -> None:
    service = make_service((0, 2))
    shared = limit(ConcurrencyLimit(1))
    breaker = circuit_breaker(CircuitBreaker(failures=1, recovery=5), wait=True)
    nodes = [service.pipe(*both) for both in permutations((breaker, shared))]
    assert not (await outcome(nodes[0], 1)).success
    answers = await asyncio.gather(*(outcome(node, 2) for node in nodes[::order]))
    assert [answer.output for answer in answers] == [2, 2]


async def test_with_wait_items_wait_for_a_probe_and_no_item_is_lost() -> None:
    service = make_service((0, 100))
    breaker = CircuitBreaker(failures=3, recovery=30)
    node = service.pipe(circuit_breaker(breaker, wait=True), retry(9, wait=1))
    results = await BatchProcessor(node, max_concurrency=10).batch(range(50))
    assert results.outputs == list(range(50))
    # The first ten, then one probe each time, until one finds the service working.
    assert service.started[:14] == [0.0] * 10 + [31.0, 62.0, 93.0, 124.0]
    assert set(service.started[14:25]) == {125.0, 126.0}
    assert breaker.state == "closed"


async def test_one_probe_at_a_time() -> None:
    service = make_service(FOREVER, seconds=10)
    breaker = CircuitBreaker(failures=1, recovery=5)
    node = service.pipe(circuit_breaker(breaker))
    await outcome(node, 1)
    await asyncio.sleep(5)
    probe = asyncio.create_task(outcome(node, 2))
    await asyncio.sleep(1)
    assert breaker.state == "half-open"
    refused = await outcome(node, 3)
    assert refused.error == (
        "CircuitOpen: the service is not called, a probe is being made; "
        "its last error: ConnectionError: refused"
    )
    assert (await probe).error == "ConnectionError: refused"
    assert service.started == [0, 15]
    assert breaker.state == "open"


async def test_a_success_between_failures_resets_the_count() -> None:
    answers = iter([False, False, True, False, False, True])

    def answer(value: int) -> NodeResult:
        return NodeResult(next(answers), value, error="no")

    breaker = CircuitBreaker(failures=3)
    node = FunctionNode(answer).pipe(circuit_breaker(breaker))
    await BatchProcessor(node, max_concurrency=1).batch(range(6))
    assert breaker.state == "closed"


@pytest.mark.parametrize(("pause", "state"), [(4, "open"), (6, "closed")])
async def test_within_a_time_successes_between_do_not_matter(pause: float, state: str) -> None:
    breaker = CircuitBreaker(failures=3, within=10)

    async def answer(fails: bool) -> None:
        await asyncio.sleep(pause)
        if fails:
            raise OSError("no")

    node = FunctionNode(answer).pipe(circuit_breaker(breaker))
    for fails in (True, True, True):
        await outcome(node, fails)
    assert breaker.state == state


@pytest.mark.parametrize("counts", [OSError, (KeyError, OSError), lambda e: "disk" in str(e)])
async def test_only_some_failures_count(counts: Any) -> None:
    breaker = CircuitBreaker(failures=2, counts=counts)

    def fail(error: Exception) -> None:
        raise error

    node = FunctionNode(fail).pipe(circuit_breaker(breaker))
    for _ in range(5):
        await outcome(node, ValueError("no"))
    assert breaker.state == "closed"
    for _ in range(2):
        await outcome(node, OSError("disk"))
    assert breaker.state == "open"


async def test_a_probe_that_is_cancelled_leaves_its_place_to_another() -> None:
    service = make_service((0, 3), seconds=2)
    breaker = CircuitBreaker(failures=1, recovery=2)
    node = service.pipe(circuit_breaker(breaker, wait=True))
    await outcome(node, 1)
    probe = asyncio.create_task(outcome(node.pipe(timeout(3)), 2))
    await asyncio.sleep(2)
    waiting = asyncio.create_task(outcome(node, 3))
    await asyncio.sleep(0.5)
    probe.cancel()
    assert isinstance(await raised_by(probe), asyncio.CancelledError)
    assert (await waiting).output == 3
    assert service.started == [0, 4, 4.5]
    assert breaker.state == "closed"


async def test_waiters_that_are_cancelled_are_forgotten() -> None:
    breaker = CircuitBreaker(failures=1, recovery=1000)
    failing = make_service(FOREVER).pipe(circuit_breaker(breaker, wait=True))
    await outcome(failing, 1)
    results = await BatchProcessor(failing.pipe(timeout(5))).batch(range(20))
    assert {result.error for result in results} == {"TimeoutError: not finished within 5 s"}
    assert breaker._waiters == []


async def test_its_changes_can_be_observed() -> None:
    breaker = CircuitBreaker(failures=1, recovery=5)
    changes: list[CircuitChange] = []
    breaker.changes.subscribe(changes.append)
    node = make_service((0, 2)).pipe(circuit_breaker(breaker, wait=True))
    await outcome(node, 1)
    await outcome(node, 2)
    assert changes == [
        CircuitChange("open", 1, "ConnectionError: refused"),
        CircuitChange("half-open", 6, None),
        CircuitChange("closed", 7, None),
    ]


async def test_an_observer_that_raises_is_reported_and_costs_no_item() -> None:
    log = log_of_the_loop()
    breaker = CircuitBreaker(failures=1)

    def fail(change: CircuitChange) -> None:
        raise LookupError("broken")

    breaker.changes.subscribe(fail)
    result = await outcome(make_service(FOREVER).pipe(circuit_breaker(breaker)), 1)
    assert result.error == "ConnectionError: refused"
    assert [str(entry["exception"]) for entry in log()] == ["broken"]


async def test_a_probe_of_which_nothing_can_be_said_leaves_its_place_to_another() -> None:
    def fail(number: int) -> int:
        if number < 2:
            raise ConnectionError(number)
        return number

    breaker = CircuitBreaker(
        failures=1, recovery=1, counts=lambda error: 1 // (1 - error.args[0]) > 0
    )
    node = FunctionNode(fail).pipe(circuit_breaker(breaker, wait=True))
    results = await BatchProcessor(node, max_concurrency=1).batch(range(4))
    assert [result.error for result in results] == [
        "ConnectionError: 0",
        "ZeroDivisionError: integer division or modulo by zero",
        None,
        None,
    ]
    assert breaker.state == "closed"


@pytest.mark.parametrize("wait", [True, False])
async def test_a_node_inside_a_probe_is_part_of_it(wait: bool) -> None:
    breaker = CircuitBreaker(failures=1, recovery=1)
    policy = circuit_breaker(breaker, wait=wait)
    inner = make_service((0, 0.5), seconds=0).pipe(policy)
    node = (inner | FunctionNode(slowly)).pipe(policy)
    assert not (await outcome(node, 1)).success
    await asyncio.sleep(1)
    assert (await outcome(node, 2)).output == 2
    assert breaker.state == "closed"


def test_a_probe_wakes_those_who_wait_on_other_loops() -> None:
    breaker = CircuitBreaker(failures=1, recovery=0.01)
    is_probing, is_waiting = threading.Event(), threading.Event()

    class Node(BaseNode):
        async def execute(self, node_context: Any, workflow_context: Any) -> NodeResult:
            if breaker.state == "closed":
                raise ConnectionError
            is_probing.set()
            await asyncio.to_thread(is_waiting.wait, 10)
            return NodeResult(True)

    async def probe() -> None:
        node = Node().pipe(circuit_breaker(breaker, wait=True))
        await BatchProcessor(node, max_concurrency=1).batch([1, 2])

    async def wait() -> None:
        await asyncio.to_thread(is_probing.wait, 10)
        asyncio.get_running_loop().call_later(0.01, is_waiting.set)
        async with asyncio.timeout(10):
            await FunctionNode(str).pipe(circuit_breaker(breaker, wait=True)).run(1)

    with ThreadPoolExecutor() as pool:
        ends = [pool.submit(asyncio.run, work()) for work in (probe, wait)]
        assert [end.result(20) for end in ends] == [None, None]


def test_its_error_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(CircuitOpen("refused", 3.0)))
    assert (str(error), error.last_error, error.seconds) == (
        "the service is not called, the next probe in 3 s; its last error: refused",
        "refused",
        3.0,
    )


@pytest.mark.parametrize(
    "given", [{"failures": 0}, {"within": 0}, {"recovery": -1}, {"recovery": "30"}, {"counts": 5}]
)
def test_bad_arguments_are_refused(given: dict[str, Any]) -> None:
    (parameter,) = given
    with pytest.raises((TypeError, ValueError), match=rf"^{parameter} must be "):
        CircuitBreaker(**given)


def test_what_is_no_breaker_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^breaker must be a CircuitBreaker, got 5 \(int\)$"):
        circuit_breaker(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^wait must be "):
        circuit_breaker(CircuitBreaker(), wait=5)(slowly)  # type: ignore[arg-type]
