"""Items whose outputs are items too, until nothing new comes."""

from __future__ import annotations

import asyncio
import gc
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import reactivex as rx

from nadoo_flow import ExpandNode, FilterNode, MapNode, NodeError, ReduceNode, Trace
from nadoo_flow.operators import expand

from ..stand_ins import answer, assert_only_the_caller_runs, now, observed, raised_by


def smaller(number: int) -> Iterator[int]:
    """Give all natural numbers that are smaller."""
    yield from range(number)


async def smaller_slowly(number: int) -> AsyncIterator[int]:
    for less in range(number):
        await asyncio.sleep(1)
        yield less


def level_by_level(items: list[int]) -> list[int]:
    found = list(items)
    for item in found:
        found.extend(range(item))
    return found


class TestWhatIsEmitted:
    @pytest.mark.parametrize("child", [smaller, smaller_slowly])
    @pytest.mark.parametrize("limit", [1, 2, 10])
    async def test_the_items_and_the_outputs_of_each_in_turn(self, child: Any, limit: int) -> None:
        node = ExpandNode("expand", child, max_concurrency=limit)
        assert await node.run({"items": [3, 1]}) == {"results": [3, 1, 0, 1, 2, 0, 0, 0, 1, 0]}
        assert level_by_level([3, 1]) == [3, 1, 0, 1, 2, 0, 0, 0, 1, 0]

    async def test_nothing_of_nothing(self) -> None:
        assert await ExpandNode("expand", smaller).run({"items": []}) == {"results": []}

    @pytest.mark.parametrize("window", [1, 2, 3, None])
    @pytest.mark.parametrize("ordered", [False, True])
    async def test_the_same_items_within_any_window(
        self, window: int | None, ordered: bool
    ) -> None:
        node = ExpandNode("expand", smaller_slowly, max_concurrency=2)
        async with node.stream([4, 3], max_in_flight=window, ordered=ordered) as items:
            found = [item async for item in items]
        assert Counter(found) == Counter(level_by_level([4, 3]))

    async def test_endless_ones_within_the_demand(self) -> None:
        asked: list[int] = []

        def successor(number: int) -> list[int]:
            asked.append(number)
            return [number + 1]

        async with ExpandNode("expand", successor).stream([0], max_in_flight=5) as items:
            assert [await anext(items) for _ in range(100)] == list(range(100))
            await asyncio.sleep(1)
        assert len(asked) <= 106
        assert_only_the_caller_runs()

    async def test_rule_r38_no_more_than_max_items(self) -> None:
        node = ExpandNode("expand", lambda number: [number + 1], max_items=4)
        assert await node.run({"items": [0]}) == {"results": [0, 1, 2, 3]}
        assert_only_the_caller_runs()

    async def test_it_joins_chains(self) -> None:
        chain = (
            MapNode("next", lambda number: number + 1, output_key="items")
            | ExpandNode("expand", smaller_slowly, output_key="items")
            | FilterNode("odd", lambda number: number % 2, output_key="items")
            | ReduceNode("list", lambda found, number: [*found, number], [])
        )
        assert await chain.run({"items": [3, 0]}) == {"result": [1, 1, 3, 1, 1, 1]}

    async def test_as_an_operator(self) -> None:
        values: list[int] = []
        assert await observed(rx.of(3, 1).pipe(expand(smaller, ordered=True)), values) is None
        assert Counter(values) == Counter(level_by_level([3, 1]))
        values.clear()
        operator = expand(lambda number: [number + 1], key=lambda number: number % 5, max_items=9)
        assert await observed(rx.of(7).pipe(operator), values) is None
        assert values == [7, 8, 9, 10, 11]


class TestKeys:
    async def test_rule_r36_an_item_whose_key_was_seen_is_dropped(self) -> None:
        asked: list[int] = []

        def neighbours(number: int) -> list[int]:
            asked.append(number)
            return [(number + 1) % 5, (number + 2) % 5, number]

        node = ExpandNode("walk", neighbours, key=lambda number: number)
        assert await node.run({"items": [0, 0, 3]}) == {"results": [0, 3, 1, 2, 4]}
        assert asked == [0, 3, 1, 2, 4]

    async def test_a_key_gets_what_a_function_node_would_get(self) -> None:
        seen: list[Any] = []
        node = ExpandNode("walk", lambda item: [], key=lambda item: seen.append(item))
        await node.run({"items": [{"item": 1}, 2, {"page": 3}]})
        assert seen == [1, 2, {"page": 3}]

    async def test_outputs_without_a_key_keep_no_place(self) -> None:
        def below(value: Any) -> list[Any]:
            return [[0]] if value < 10 else [100]

        node = ExpandNode("walk", below, key=lambda value: value, continue_on_error=True)
        seen: list[Any] = []
        async with node.stream([*range(10), 10], max_in_flight=2) as stream:
            async for value in stream:
                seen.append(value)
        assert sorted(seen) == [*range(11), 100]

    async def test_one_that_would_never_be_seen_again_is_refused(self) -> None:
        async def later(item: Any) -> Any:
            return item

        with pytest.raises(TypeError, match="key must be a function that is not async, got"):
            ExpandNode("walk", lambda item: [], key=later)
        for key, words in (
            (lambda item: later(item), "the key itself and not an awaitable"),
            (lambda item: float("nan"), "a value that is equal to itself"),
        ):
            node = ExpandNode("walk", lambda item: [], key=key)
            error = await raised_by(node.run({"items": [0]}))
            assert f"TypeError: key must return {words}, got" in str(error)

    async def test_one_that_is_not_hashable_is_named(self) -> None:
        node = ExpandNode("walk", lambda number: [[number]], key=lambda item: item)
        error = await raised_by(node.run({"items": [0]}))
        assert str(error) == (
            "node 'walk' failed: item 0: after 1 output: TypeError: key must return a "
            "hashable value, got [0] (list) for the item [0] (list)"
        )

    @pytest.mark.parametrize("carry_on", [False, True])
    async def test_one_that_raises_for_an_item_of_the_source_ends_the_run(
        self, carry_on: bool
    ) -> None:
        node = ExpandNode("walk", smaller, continue_on_error=carry_on, key=lambda item: item.url)
        error = await raised_by(node.run({"items": [0]}))
        expected = "node 'walk' failed: AttributeError: 'int' object has no attribute 'url'"
        assert str(error) == expected
        assert isinstance(error, NodeError)

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"key": 5}, r"^key must be a function, got 5 \(int\)$"),
            ({"max_items": 0}, r"^max_items must be "),
            ({"child_node": None}, r"^child_node must be "),
        ],
    )
    def test_bad_arguments_are_refused(self, given: dict[str, Any], words: str) -> None:
        with pytest.raises((TypeError, ValueError), match=words):
            ExpandNode(**{"node_id": "walk", "child_node": smaller, **given})

    @pytest.mark.parametrize("ordered", [False, True])
    async def test_rule_r36_a_key_that_is_found_many_times_at_once_is_expanded_once(
        self, ordered: bool
    ) -> None:
        asked: Counter[int] = Counter()

        async def links(page: int) -> list[int]:
            asked[page] += 1
            await asyncio.sleep(1)
            return [*range(50)] * 2

        node = ExpandNode("crawl", links, max_concurrency=20, key=lambda page: page)
        async with node.stream([0, 1, 0], ordered=ordered) as pages:
            found = [page async for page in pages]
        assert sorted(found) == [*range(50)]
        assert asked == Counter(range(50))


class TestTheEnd:
    @pytest.mark.parametrize("limit", [1, 2, 10])
    async def test_rule_r37_is_when_the_last_item_gives_nothing(self, limit: int) -> None:
        async def late(generation: int) -> AsyncIterator[int]:
            await asyncio.sleep(5)
            if generation < 3:
                yield generation + 1
                await asyncio.sleep(5)

        node = ExpandNode("late", late, max_concurrency=limit)
        async with node.stream([0]) as stream:
            times = [(now(), item) async for item in stream]
        assert [item for _, item in times] == [0, 1, 2, 3]
        # With one at a time, an item waits for the end of the one that has given it.
        assert now() == (4 * 5 + 3 * 5 if limit == 1 else 4 * 5)

    async def test_rule_r37_is_not_while_the_source_may_give_more(self) -> None:
        async def source() -> AsyncIterator[int]:
            yield 2
            await asyncio.sleep(100)
            yield 1

        async with ExpandNode("expand", smaller).stream(source()) as stream:
            times = [(now(), item) async for item in stream]
        assert times == [(0, 2), (0, 0), (0, 1), (0, 0), (100, 1), (100, 0)]

    async def test_rule_r37_an_error_of_the_source_comes_behind_all(self) -> None:
        def source() -> Iterator[int]:
            yield 2
            raise OSError("gone")

        seen: list[int] = []
        observable = ExpandNode("expand", smaller_slowly).observe(source())
        assert isinstance(await observed(observable, seen), OSError)
        assert Counter(seen) == Counter(level_by_level([2]))

    async def test_rule_r38_max_items_close_what_is_at_work(self) -> None:
        open_ones = 0

        async def endless(number: int) -> AsyncIterator[int]:
            nonlocal open_ones
            open_ones += 1
            try:
                while True:
                    await asyncio.sleep(1)
                    yield number + 1
            finally:
                await asyncio.sleep(1)
                open_ones -= 1

        node = ExpandNode("endless", endless, max_concurrency=3, max_items=10)
        async with node.stream([0, 0]) as stream:
            found = [item async for item in stream]
        assert (len(found), open_ones) == (10, 0)
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("step", range(7))
    @pytest.mark.parametrize("ordered", [False, True])
    async def test_rule_r39_whenever_it_is_cancelled_no_generator_is_left(
        self, step: int, ordered: bool
    ) -> None:
        opened: list[int] = []
        closed: list[int] = []

        async def child(number: int) -> AsyncIterator[int]:
            opened.append(number)
            try:
                for more in range(3):
                    await asyncio.sleep(1)
                    yield 3 * number + more
            finally:
                closed.append(number)

        async def consume() -> None:
            async with ExpandNode("three", child, max_concurrency=4).stream(
                [0, 1], ordered=ordered, max_in_flight=5
            ) as stream:
                async for _ in stream:
                    await asyncio.sleep(0.3)

        consumer = asyncio.create_task(consume())
        await asyncio.sleep(step + 0.4)
        consumer.cancel()
        assert isinstance(await raised_by(consumer), asyncio.CancelledError)
        assert sorted(opened) == sorted(closed)
        assert opened
        assert_only_the_caller_runs()


class TestFailures:
    async def test_rule_r39_the_first_ends_the_run(self) -> None:
        def failing(number: int) -> Iterator[int]:
            yield number + 1
            if number == 2:
                raise ValueError("no more")

        result = await answer(ExpandNode("walk", failing), {"items": [0]})
        assert result.error == "item 2: after 1 output: ValueError: no more"

    async def test_rule_r39_or_costs_only_the_outputs_of_its_item(self) -> None:
        def failing(number: int) -> list[int]:
            if number == 2:
                raise ValueError("no more")
            return [number - 1] if number else []

        node = ExpandNode("walk", failing, continue_on_error=True)
        result = await answer(node, {"items": [3, 1]})
        assert result.output == {"results": [3, 1, 2, 0]}
        assert result.metadata["errors"] == [{"index": 2, "error": "ValueError: no more"}]


async def test_a_watched_run_has_an_event_for_each_item() -> None:
    trace = Trace()
    await ExpandNode("walk", smaller).run({"items": [2]}, trace=trace)
    counts = Counter(event.kind for event in trace.events)
    assert counts == {"started": 4, "finished": 4}
    assert sorted({event.index for event in trace.events if event.index is not None}) == [
        0,
        1,
        2,
        3,
    ]


async def test_rule_r35_concurrency_is_that_of_all_levels_together() -> None:
    at_work = peak = 0

    async def links(page: int) -> list[int]:
        nonlocal at_work, peak
        at_work += 1
        peak = max(peak, at_work)
        await asyncio.sleep(1)
        at_work -= 1
        return [4 * page + link for link in range(1, 5)] if page < 85 else []

    node = ExpandNode("crawl", links, max_concurrency=7)
    output = await node.run({"items": [0]})
    assert len(output["results"]) == 341
    assert peak == 7
    assert now() <= 341 / 7 + 4


PAGES = 2_000


class Site:
    """A site of linked pages, served over HTTP."""

    def __init__(self) -> None:
        self.visits: Counter[str] = Counter()
        self.at_work = 0
        self.peak = 0

    def write_page(self, number: int) -> str:
        near = random.Random(number).sample(range(PAGES), 5)
        links = {(number + 1) % PAGES, *near}
        return "".join(f'<a href="/{link}">{link}</a>' for link in sorted(links))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        self.visits[path] += 1
        self.at_work += 1
        self.peak = max(self.peak, self.at_work)
        await asyncio.sleep(0.001)
        body = self.write_page(int(path[1:]))
        self.at_work -= 1
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        writer.close()


@pytest.mark.slow
@pytest.mark.asyncio(loop_factories=["real"])
async def test_a_crawler_visits_each_page_of_a_real_site_once() -> None:
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def find_links(path: str) -> list[str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        page = await reader.read()
        writer.close()
        await writer.wait_closed()
        return re.findall(r'href="([^"]+)"', page.decode())

    crawler = ExpandNode("crawl", find_links, max_concurrency=20, key=lambda path: path)
    async with server, crawler.stream(["/0"]) as paths:
        found = [path async for path in paths]
    gc.collect()
    assert sorted(found) == sorted(f"/{number}" for number in range(PAGES))
    assert set(site.visits.values()) == {1}
    assert site.peak == 20
