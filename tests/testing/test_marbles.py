"""Marble diagrams: what they emit, and what they expect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from reactivex import Observable
from reactivex import operators as ops

from nadoo_flow import BatchProcessor, MapNode
from nadoo_flow.testing import assert_nothing_left, marbles

from ..stand_ins import now, observed
from ..streams.runs import Seen


async def pulled(source: AsyncIterator[Any]) -> list[tuple[float, Any]]:
    seen = []
    try:
        async for value in source:
            seen.append((now(), value))
    except ValueError as error:
        seen.append((now(), error))
    return seen


class TestAsASource:
    async def test_it_emits_at_its_times(self) -> None:
        seen = Seen()
        marbles("a-b-|").subscribe(seen)
        assert seen.values == []
        await asyncio.sleep(9)
        assert (seen.values, seen.times) == (["a", "b"], pytest.approx([0, 2]))
        assert (seen.ends, seen.ended_at) == (["completed"], 4)

    async def test_each_subscription_begins_anew(self) -> None:
        source, into = marbles("-a|", step=0.5), list[Any]()
        assert await observed(source, into) is None
        await asyncio.sleep(3)
        assert await observed(source, into) is None
        assert (into, now()) == (["a", "a"], 5)

    async def test_items_of_a_group_come_in_their_order_at_one_time(self) -> None:
        seen = Seen()
        marbles("-(1,2,3,4,5,6,7,8,9,|)").subscribe(seen)
        await asyncio.sleep(99)
        assert seen.values == list(range(1, 10))
        assert (set(seen.times), seen.ended_at) == ({1}, 1)

    async def test_items_stand_for_values(self) -> None:
        error, into = ValueError("no"), list[Any]()
        source = marbles("a b c #", {"abc": [1]}, error=error)
        assert await observed(source, into) is error
        assert into == [[1]]

    async def test_it_is_disposed_of(self) -> None:
        seen = Seen()
        marbles("a-(b,c)-d").pipe(ops.take(2)).subscribe(seen)
        await asyncio.sleep(9)
        assert seen.values == ["a", "b"]
        subscription = marbles("a-b").subscribe(seen)
        await asyncio.sleep(1)
        subscription.dispose()
        await asyncio.sleep(9)
        assert seen.values == ["a", "b", "a"]

    async def test_it_can_be_pulled(self) -> None:
        error = ValueError("no")
        assert await pulled(aiter(marbles("a-b-|"))) == [(0, "a"), (2, "b")]
        assert await pulled(aiter(marbles("-a#", error=error))) == [(5, "a"), (6, error)]

    async def test_one_who_comes_late_gets_an_item_at_once(self) -> None:
        iterator = aiter(marbles("a-b-c|"))
        assert await anext(iterator) == "a"
        await asyncio.sleep(3)
        assert (await anext(iterator), now()) == ("b", 3)
        assert (await anext(iterator), now()) == ("c", 4)

    async def test_it_is_an_input_of_runs(self) -> None:
        results = await BatchProcessor(lambda item: item * 2).batch(marbles("1-2-|"))
        assert (results.outputs, now()) == ([2, 4], 4)
        results = await BatchProcessor(lambda item: item * 2).batch(aiter(marbles("1-2-|")))
        assert (results.outputs, now()) == ([2, 4], 8)


class TestAsAnExpectation:
    @pytest.mark.parametrize(
        ("expected", "given"),
        [
            ("-a-b|", "-a-b|"),
            ("a(b,c)|", "a(b,c)|"),
            ("(a,|)", "(a,|)"),
            ("-a#", "-a#"),
            ("-a-", "-a-"),
            ("-a-", "-a---b"),
            ("---", "-----a"),
            ("", "-"),
        ],
    )
    async def test_it_is_met(self, expected: str, given: str) -> None:
        with assert_nothing_left():
            await marbles(expected, step=0.1).expect(marbles(given, step=0.1))
            await marbles(expected, step=0.1).expect(aiter(marbles(given, step=0.1)))

    @pytest.mark.parametrize(
        ("expected", "given", "difference"),
        [
            ("-a-b|", "-a|", ["  1 s: 'a'", "- 3 s: 'b'", "- 4 s: completed", "+ 2 s: completed"]),
            ("-a|", "-b|", ["- 1 s: 'a'", "+ 1 s: 'b'", "  2 s: completed"]),
            ("-a|", "a-|", ["- 1 s: 'a'", "+ 0 s: 'a'", "  2 s: completed"]),
            ("-a|", "-a", ["  1 s: 'a'", "- 2 s: completed"]),
            ("-a-", "-ab", ["- 1 s: 'a'", "+ 1 s: 'ab'"]),
            ("-a-", "-a(b)", ["  1 s: 'a'", "+ 2 s: 'b'"]),
            ("-a|", "-a#", ["  1 s: 'a'", "- 2 s: completed", "+ 2 s: Exception: error"]),
        ],
    )
    async def test_it_says_what_is_missing_and_what_came_instead(
        self, expected: str, given: str, difference: list[str]
    ) -> None:
        for source in (marbles(given), aiter(marbles(given))):
            with pytest.raises(AssertionError) as caught:
                await marbles(expected).expect(source)
            title, *lines = str(caught.value).splitlines()
            assert title == "other signals than expected:"
            assert sorted(lines) == sorted(difference)

    async def test_an_error_is_any_or_one_like_it(self) -> None:
        given = marbles("a#", error=KeyError("k"))
        await marbles("a#").expect(given)
        await marbles("a#", error=KeyError("k")).expect(given)
        for other in (KeyError("l"), LookupError("k")):
            with pytest.raises(AssertionError, match="KeyError: 'k'"):
                await marbles("a#", error=other).expect(given)

    async def test_stages_are_put_to_it(self) -> None:
        def shout(item: str) -> Any:
            return asyncio.sleep(1.5, item.upper())

        stage = MapNode("shout", shout, max_concurrency=1)
        expected = marbles("---A--B---|", step=0.5)
        await expected.expect(stage.observe(marbles("(a,b)|")))
        await expected.expect(stage.stream(aiter(marbles("(a,b)|"))))

    async def test_a_run_that_is_left_is_closed(self) -> None:
        stage = MapNode("wait", lambda item: asyncio.sleep(99, item))
        with assert_nothing_left():
            await marbles("---").expect(stage.stream(aiter(marbles("a"))))

    async def test_an_error_of_a_source_that_is_left_is_shown(self) -> None:
        async def fail_at_the_end() -> AsyncIterator[str]:
            try:
                yield await asyncio.sleep(99, "a")
            finally:
                raise ValueError("not closed")

        with pytest.raises(AssertionError, match=r"\+ 2.5 s: ValueError: not closed"):
            await marbles("---").expect(fail_at_the_end())

    @pytest.mark.asyncio(loop_factories=["real"])
    async def test_it_needs_virtual_time(self) -> None:
        with pytest.raises(RuntimeError, match="needs a loop with virtual time"):
            await marbles("a|").expect(marbles("a|"))

    async def test_it_refuses_what_is_no_source(self) -> None:
        with pytest.raises(TypeError, match="source must be an Observable or an async iterable"):
            await marbles("a|").expect(["a"])


@pytest.mark.parametrize("diagram", ["a|b", "a,b"])
def test_what_the_parser_of_rx_refuses_is_refused(diagram: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # its words are those of Rx
        marbles(diagram)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: marbles("a-(b|"), r"diagram must have its parentheses in pairs, got 'a-\(b\|'"),
        (lambda: marbles("a)"), "diagram must have its parentheses in pairs"),
        (lambda: marbles("a", values=["b"]), r"values must be a mapping, got \['b'\] \(list\)"),  # type: ignore[arg-type]
        (lambda: marbles("#", error=ValueError), "error must be an exception, got <class 'ValueE"),  # type: ignore[arg-type]
        (lambda: marbles(["a"]), r"diagram must be a str, got \['a'\] \(list\)"),  # type: ignore[arg-type]
        (lambda: marbles("a", step=0), "step must be above 0, got 0"),
    ],
)
def test_a_wrong_diagram_is_refused(make: Callable[[], Observable[Any]], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        make()
