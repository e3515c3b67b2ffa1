"""A dashboard shows the runs of its owners, and ends them where it may."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import weakref
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, FilterNode, FunctionNode, MapNode, NodeResult
from nadoo_flow.dashboard import Dashboard
from nadoo_flow.dashboard.boards import MOST_ENDED, STAY
from nadoo_flow.dashboard.snapshot import MOST_FAILURES, MOST_ITEMS, MOST_RUNS
from nadoo_flow.dashboard.updates import INTERVAL, LIFETIME

from ..stand_ins import assert_only_the_caller_runs, double, slowly
from .client import act, look, watch


async def fail_on_three(value: int) -> NodeResult:
    await asyncio.sleep(value)
    usage = {"usage": {"tokens": 10 * value}}
    return NodeResult(value != 3, value, "three is too much", usage)


async def last(dashboard: Dashboard) -> dict[str, Any]:
    """Return the snapshot of the first board that a page gets last."""
    return (await watch(dashboard))[-1]["boards"][0]


async def test_what_a_page_shows_at_the_end_is_what_the_run_says() -> None:
    processor = BatchProcessor(FunctionNode(fail_on_three, "three"), 2)
    dashboard = Dashboard(processor, name="Mine")
    assert repr(dashboard) == "<Dashboard 'Mine' of 'three'>"
    results = await processor.batch([1, 3, 2, 3])
    (snapshot,) = await watch(dashboard)
    assert (snapshot["name"], snapshot["control"]) == ("Mine", False)
    (board,) = snapshot["boards"]
    (run,) = board["runs"]
    assert (run["state"], run["seconds"], run["total"], run["done"]) == ("completed", 6.0, 4, 4)
    assert (run["eta"], run["rate"]) == (None, 4 / 6)
    (stage,) = run["stages"]
    summary = results.summary()
    assert (stage["finished"], stage["failed"]) == (summary.successful, summary.failed) == (2, 2)
    assert dict(stage["usage"]) == results.usage == {"tokens": 90}
    assert sum(count for _, count in stage["latencies"]) == 4
    assert (stage["in_work"], stage["items"]) == (0, [])
    p50, p95, p99 = stage["percentiles"]
    assert 2 <= p50 < 2.4
    assert 3 <= p95 == p99 < 3.6
    assert [(each["index"], each["error"]) for each in run["failures"]] == [
        (3, "three is too much"),
        (1, "three is too much"),
    ]


async def test_a_page_follows_a_run_four_times_a_second() -> None:
    processor = BatchProcessor(slowly, 2)
    dashboard = Dashboard(processor)
    running = asyncio.ensure_future(processor.batch([4, 3, 2]))
    snapshots = await watch(dashboard)
    await running
    # From 0 to 5 seconds, and one that says that the run has ended.
    assert len(snapshots) == 5 / INTERVAL + 2
    runs = [snapshot["boards"][0]["runs"][0] for snapshot in snapshots]
    assert runs[13]["seconds"] == 3.25
    assert runs[13]["stages"][0]["items"] == [[0, 3.25], [2, 0.25]]
    assert [runs[at]["done"] for at in (0, 11, 13, 17, 20)] == [0, 0, 1, 2, 3]
    assert runs[13]["eta"] == pytest.approx(2 / (1 / 3.25))
    assert runs[-1]["state"] == "completed"


async def test_a_page_that_is_opened_in_mid_run_has_all_totals() -> None:
    processor = BatchProcessor(slowly, 1)
    dashboard = Dashboard(processor)
    running = asyncio.ensure_future(processor.batch([1] * 20))
    await asyncio.sleep(10.5)
    run = (await watch(dashboard))[0]["boards"][0]["runs"][0]
    assert (run["done"], run["seconds"], run["stages"][0]["items"]) == (10, 10.5, [[10, 0.5]])
    assert run["history"] == [[0.0, 0, 0], [10.5, 10, 0]]
    assert run["eta"] == 10.5
    await running


async def test_nothing_is_sampled_and_nothing_is_left_while_no_page_is_open() -> None:
    processor = BatchProcessor(slowly)
    dashboard = Dashboard(processor)
    taken: list[int] = []
    take = dashboard._updates._take
    dashboard._updates._take = lambda: taken.append(1) or take()  # type: ignore[func-returns-value]
    await processor.batch([100])
    assert taken == []
    stream = dashboard._updates.stream()
    await anext(stream)
    await anext(stream)
    assert (dashboard.open_pages, len(taken)) == (1, 1)
    await stream.aclose()
    assert dashboard.open_pages == 0
    assert_only_the_caller_runs()


async def test_pages_share_their_snapshots_and_end_after_a_while() -> None:
    processor = BatchProcessor(slowly)
    dashboard = Dashboard(processor)
    taken: list[int] = []
    take = dashboard._updates._take
    dashboard._updates._take = lambda: taken.append(1) or take()  # type: ignore[func-returns-value]
    running = asyncio.ensure_future(processor.batch([100]))
    began = asyncio.get_running_loop().time()
    pages = await asyncio.gather(*(watch(dashboard) for _ in range(20)))
    assert asyncio.get_running_loop().time() - began == LIFETIME
    assert len(taken) == len(pages[0]) == LIFETIME / INTERVAL + 1
    assert all(page == pages[0] for page in pages)
    running.cancel()
    await asyncio.wait([running])


def last_running(dashboard: Dashboard) -> dict[str, Any]:
    return look(dashboard)["boards"][0]["runs"][0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("action", "state", "finished", "cancelled", "seconds"),
    [("drain", "draining", [2, 3], 0, 3.0), ("cancel", "drained", [], 2, 1.0)],
)
async def test_a_run_is_ended_from_the_page(
    action: str, state: str, finished: list[int], cancelled: int, seconds: float
) -> None:
    processor = BatchProcessor(slowly, 2)
    dashboard = Dashboard(processor, control=True)
    running = asyncio.ensure_future(processor.batch([2, 3, 4, 5]))
    await asyncio.sleep(1)
    number = last_running(dashboard)["number"]
    answer = await act(dashboard, f"/runs/{number}/{action}")
    assert (answer.status_code, answer.text) == (202, "the run is ending")
    await asyncio.sleep(0.001)
    assert last_running(dashboard)["state"] == state
    results = await running
    assert [result.output for result in results] == finished
    run = last_running(dashboard)
    assert run["state"] == "drained"
    assert run["seconds"] == pytest.approx(seconds, abs=0.01)
    assert run["stages"][0]["cancelled"] == cancelled
    assert (await act(dashboard, f"/runs/{number}/{action}")).status_code == 409
    assert_only_the_caller_runs()


async def test_a_page_without_control_ends_nothing() -> None:
    processor = BatchProcessor(slowly)
    dashboard = Dashboard(processor)
    running = asyncio.ensure_future(processor.batch([1]))
    await asyncio.sleep(0)
    number = last_running(dashboard)["number"]
    assert (await act(dashboard, f"/runs/{number}/cancel")).status_code == 403
    assert [result.output for result in await running] == [1]


async def test_only_runs_of_the_dashboard_can_be_ended_and_only_in_its_ways() -> None:
    processor, other = BatchProcessor(slowly), BatchProcessor(slowly)
    dashboard = Dashboard(processor, control=True)
    elsewhere = Dashboard(other)
    running = asyncio.ensure_future(other.batch([1]))
    await asyncio.sleep(0)
    number = last_running(elsewhere)["number"]
    assert (await act(dashboard, f"/runs/{number}/cancel")).status_code == 409
    assert (await act(dashboard, f"/runs/{number}/explode")).status_code == 404
    for odd in ("-1", "x", "9" * 5_000, "\N{SUPERSCRIPT TWO}", "1.0"):
        assert (await act(dashboard, f"/runs/{odd}/cancel")).status_code == 409
    await running


async def test_a_run_in_another_thread_is_shown_and_drained() -> None:
    processor = BatchProcessor(slowly, 1)
    dashboard = Dashboard(processor, control=True)
    begun, outputs = threading.Event(), list[Any]()

    async def work(value: float) -> float:
        begun.set()
        await asyncio.sleep(value)
        return value

    processor.node = FunctionNode(work)

    def run_there() -> None:
        outputs.extend(asyncio.run(processor.batch([0.2, 0.2, 0.2])))

    thread = threading.Thread(target=run_there)
    thread.start()
    assert begun.wait(10)
    number = last_running(dashboard)["number"]
    assert (await act(dashboard, f"/runs/{number}/drain")).status_code == 202
    thread.join(10)
    assert [result.output for result in outputs] == [0.2]
    assert last_running(dashboard)["state"] == "drained"


async def test_a_chain_has_the_counts_of_each_stage_for_the_arrows_of_its_diagram() -> None:
    chain = FilterNode("some", lambda x: x % 2, "items", "odd") | MapNode("map", double, "odd")
    dashboard = Dashboard(chain)
    await chain.run({"items": range(5)})
    board = await last(dashboard)
    (part,) = board["parts"]
    assert [box["name"] for box in part["boxes"]] == ["some", "map"]
    (run,) = board["runs"]
    assert [(stage["finished"], stage["dropped"]) for stage in run["stages"]] == [(2, 3), (2, 0)]
    assert (run["done"], run["total"], run["state"]) == (5, 5, "completed")


async def test_ended_runs_stay_for_a_while_and_not_too_many_of_them() -> None:
    processor = BatchProcessor(double)
    dashboard = Dashboard(processor)
    for number in range(MOST_ENDED + 5):
        await processor.batch([number])
    runs = (await last(dashboard))["runs"]
    assert len(runs) == MOST_ENDED
    assert runs[0]["number"] == runs[-1]["number"] + MOST_ENDED - 1
    await asyncio.sleep(STAY)
    assert (await last(dashboard))["runs"] == []


async def test_a_snapshot_is_small_whatever_there_is_at_work() -> None:
    error = ValueError("\x00</script>\u202e" * 50_000)

    async def fail(value: int) -> None:
        if value < MOST_FAILURES:
            raise error
        await asyncio.sleep(100)

    processor = BatchProcessor(FunctionNode(fail, "</script>" * 10_000), 500)
    dashboard = Dashboard(processor)
    running = [asyncio.ensure_future(processor.batch(range(600))) for _ in range(14)]
    await asyncio.sleep(1)
    board = look(dashboard)["boards"][0]
    assert (len(board["runs"]), board["more"]) == (MOST_RUNS, 14 - MOST_RUNS)
    for run in board["runs"]:
        (stage,) = run["stages"]
        assert (stage["in_work"], len(stage["items"])) == (500, MOST_ITEMS)
        assert len(run["failures"]) == MOST_FAILURES
    assert len(json.dumps(board)) < 160_000
    for task in running:
        task.cancel()
    await asyncio.wait(running)


async def test_texts_of_strangers_cannot_break_out_of_an_update() -> None:
    hostile = "\x00\x1b]0;x\x07\r\n\n\ndata: {}\n\n</script>\u2028\u2029\u202e\ud800"

    def fail(value: int) -> NodeResult:
        return NodeResult(False, None, hostile, {"usage": {hostile: 1, 2: 3, None: 4}})

    processor = BatchProcessor(FunctionNode(fail, hostile))
    dashboard = Dashboard(processor, name=hostile)
    await processor.batch([1])
    (snapshot,) = await watch(dashboard)
    (failure,) = snapshot["boards"][0]["runs"][0]["failures"]
    for text in (failure["error"], snapshot["name"], snapshot["boards"][0]["name"]):
        assert text.isprintable()
        assert "</script>" in text


@pytest.mark.parametrize("amount", [1e308, 10**300, 2**70])
async def test_amounts_that_json_cannot_hold_are_left_open(amount: float) -> None:
    processor = BatchProcessor(lambda _: NodeResult(True, 1, None, {"usage": {"usd": amount}}))
    dashboard = Dashboard(processor)
    await processor.batch([1] * 20)
    (snapshot,) = await watch(dashboard)
    ((name, used),) = snapshot["boards"][0]["runs"][0]["stages"][0]["usage"]
    assert name == "usd"
    assert used is None or used == pytest.approx(20 * amount)


async def test_a_dashboard_that_is_gone_follows_nothing() -> None:
    processor = BatchProcessor(double)
    dashboard = Dashboard(processor)
    gone = weakref.ref(dashboard._boards[0])
    del dashboard
    gc.collect()
    assert gone() is None
    await processor.batch([1])


def test_what_has_no_runs_is_refused() -> None:
    with pytest.raises(TypeError, match="shows the runs of a processor or a stage, got <function"):
        Dashboard(double)
    with pytest.raises(ValueError, match="needs at least one processor or stage"):
        Dashboard()
    with pytest.raises(ValueError, match="token must not be empty"):
        Dashboard(BatchProcessor(double), token="")
    with pytest.raises(TypeError, match="control must be True or False"):
        Dashboard(BatchProcessor(double), control="yes")  # type: ignore[arg-type]


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "starlette", None)
    with pytest.raises(ImportError, match=r"needs starlette: pip install 'nadoo-flow\[web\]'"):
        Dashboard(BatchProcessor(double))


def test_a_run_whose_loop_is_gone_has_ended() -> None:
    processor = BatchProcessor(slowly)
    dashboard = Dashboard(processor)
    loop = asyncio.new_event_loop()
    running = loop.create_task(processor.batch([1]))
    loop.call_later(0.01, loop.stop)
    loop.run_forever()
    assert last_running(dashboard)["state"] == "running"
    loop.close()
    assert last_running(dashboard)["state"] == "cancelled"
    assert running is not None


async def test_a_node_that_cannot_be_drawn_is_shown_without_a_diagram() -> None:
    class Shy(MapNode[Any, Any]):
        def _describe_parts(self) -> Any:
            raise ValueError("not your business")

    dashboard = Dashboard(Shy("shy", double))
    assert look(dashboard)["boards"][0]["parts"] == []
