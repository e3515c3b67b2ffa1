"""Wrong arguments are named, with what was expected and what came."""

from __future__ import annotations

import asyncio
import functools
import inspect
import math
import types
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from functools import partial
from typing import Any

import pytest
from reactivex import operators as ops
from reactivex.subject import Subject

from nadoo_flow import (
    AdaptiveLimit,
    BaseNode,
    BatchProcessor,
    ConcurrencyLimit,
    FilterNode,
    FunctionNode,
    MapNode,
    NodeContext,
    NodeResult,
    ReduceNode,
    Trace,
    WorkflowContext,
)
from nadoo_flow._support.checks import (
    check_bool,
    check_function,
    check_key,
    check_non_empty_str,
    check_non_negative_number,
    check_positive_int,
    check_positive_number,
    describe_value,
    is_generator_function,
    is_list_like,
)
from nadoo_flow.executors import on
from nadoo_flow.operators import flat_map
from nadoo_flow.policies import limit, rate_limit, retry, timeout

from ..stand_ins import double, slowly


class _Unprintable:
    def __repr__(self) -> str:
        raise ValueError("no repr")


class _Five:
    """An int of another library, as far as Python asks for one."""

    def __index__(self) -> int:
        return 5


class _Array:
    """An array of another library: it holds two numbers, so it is no int."""

    def __index__(self) -> int:
        raise TypeError("only one number can be an index")

    def __repr__(self) -> str:
        return "array"


class _Level(IntEnum):
    HIGH = 5


def _generator(value: Any) -> Iterator[Any]:
    yield value


async def _async_generator(value: Any) -> AsyncIterator[Any]:
    yield value


class _Yielding:
    def __call__(self, value: Any) -> Iterator[Any]:
        yield value

    async def method(self, value: Any) -> AsyncIterator[Any]:
        yield value


class _Generating(BaseNode):
    def execute(self, node_context: NodeContext, workflow_context: WorkflowContext) -> Any:
        yield NodeResult(success=True)


class _AsyncGenerating(BaseNode):
    async def execute(self, node_context: NodeContext, workflow_context: WorkflowContext) -> Any:
        yield NodeResult(success=True)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (check_positive_int, 1),
        (check_positive_int, 10**9),
        (check_bool, True),
        (check_bool, False),
        (check_function, len),
        (check_function, dict),
        (check_key, len),
        (check_key, None),
        (check_non_empty_str, "items"),
    ],
)
def test_a_right_value_comes_back_unchanged(check: Callable[..., Any], value: Any) -> None:
    assert check(value, "limit") is value


@pytest.mark.parametrize(
    ("check", "value", "error", "message"),
    [
        (check_positive_int, 0, ValueError, "limit must be at least 1, got 0"),
        (check_positive_int, -1, ValueError, "limit must be at least 1, got -1"),
        (check_positive_int, math.nan, ValueError, "limit must be a positive int, got nan"),
        (check_positive_int, True, TypeError, "limit must be a positive int, got True (bool)"),
        (check_positive_int, 2.5, TypeError, "limit must be a positive int, got 2.5 (float)"),
        (check_positive_int, 2.0, TypeError, "limit must be a positive int, got 2.0 (float)"),
        (check_positive_int, math.inf, TypeError, "limit must be a positive int, got inf (float)"),
        (check_positive_int, "5", TypeError, "limit must be a positive int, got '5' (str)"),
        (check_positive_int, None, TypeError, "limit must be a positive int, got None (NoneType)"),
        (
            check_positive_int,
            _Array(),
            TypeError,
            "limit must be a positive int, got array (_Array)",
        ),
        (check_positive_number, 0, ValueError, "limit must be above 0, got 0"),
        (check_positive_number, Fraction(-1, 2), ValueError, "limit must be above 0, got -1/2"),
        (check_positive_number, True, TypeError, "limit must be a number, got True (bool)"),
        (check_positive_number, "5", TypeError, "limit must be a number, got '5' (str)"),
        (check_positive_number, 1j, TypeError, "limit must be a number, got 1j (complex)"),
        (
            check_positive_number,
            math.nan,
            ValueError,
            "limit must be a finite number, got nan (float)",
        ),
        (
            check_positive_number,
            Decimal("sNaN"),
            ValueError,
            "limit must be a finite number, got Decimal('sNaN') (Decimal)",
        ),
        (
            check_positive_number,
            Fraction(10**400),
            ValueError,
            f"limit must be a finite number, got Fraction(1{'0' * 47}... (Fraction)",
        ),
        (check_non_negative_number, -1, ValueError, "limit must not be negative, got -1"),
        (check_bool, 1, TypeError, "limit must be True or False, got 1 (int)"),
        (check_bool, "no", TypeError, "limit must be True or False, got 'no' (str)"),
        (check_bool, None, TypeError, "limit must be True or False, got None (NoneType)"),
        (check_function, None, TypeError, "limit must be a function, got None (NoneType)"),
        (check_function, "len", TypeError, "limit must be a function, got 'len' (str)"),
        (check_key, "len", TypeError, "limit must be a function, got 'len' (str)"),
        # With a name of its own, because the message has an address in it.
        pytest.param(
            check_key,
            partial(asyncio.sleep, 1),
            TypeError,
            "limit must be a function that is not async, got "
            f"{describe_value(partial(asyncio.sleep, 1))}",
            id="check_key-async",
        ),
        (check_non_empty_str, "", ValueError, "limit must not be empty"),
        (check_non_empty_str, b"x", TypeError, "limit must be a str, got b'x' (bytes)"),
        (check_non_empty_str, None, TypeError, "limit must be a str, got None (NoneType)"),
    ],
)
def test_a_wrong_value_is_named(
    check: Callable[..., Any], value: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        check(value, "limit")
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [5, _Five(), _Level.HIGH])
def test_rule_r19_whatever_counts_as_an_int_comes_back_as_one(value: Any) -> None:
    checked = check_positive_int(value, "limit")
    assert (checked, type(checked)) == (5, int)


@pytest.mark.parametrize("check", [check_positive_number, check_non_negative_number])
@pytest.mark.parametrize(
    ("value", "number"),
    [
        (2, 2),
        (_Level.HIGH, 5),
        (0.5, 0.5),
        (type("Float64", (float,), {})(0.5), 0.5),
        (Fraction(1, 2), 0.5),
        (Decimal("0.5"), 0.5),
    ],
)
def test_rule_r19_a_number_of_any_kind_comes_back_as_an_int_or_a_float(
    check: Callable[..., Any], value: Any, number: float
) -> None:
    checked = check(value, "limit")
    assert (checked, type(checked)) == (number, type(number))


class TestEveryLimit:
    """What takes a number takes one of any library."""

    async def test_rule_r19_of_a_run(self) -> None:
        five: Any = _Five()
        processor = BatchProcessor(double, max_concurrency=five, trace=Trace(five))
        results = await processor.batch(range(12))
        assert [result.output for result in results] == list(range(0, 24, 2))
        assert processor.trace.left_out == 24 - 5  # type: ignore[union-attr]
        chunks = [len(chunk) async for chunk in processor.batch_in_chunks(range(12), five)]
        assert chunks == [5, 5, 2]
        assert len(await processor.retry_failed(results, attempts=five)) == 12

    async def test_rule_r19_of_a_stage_and_an_operator(self) -> None:
        five: Any = _Five()
        stage = MapNode("double", double, max_concurrency=five)
        async with stage.stream(range(3), max_in_flight=five, buffer=five, ordered=True) as outputs:
            assert [output async for output in outputs] == [0, 2, 4]
        subject: Subject[int] = Subject()
        seen: list[int] = []
        subject.pipe(flat_map(double, max_concurrency=five), ops.to_list()).subscribe(seen.extend)
        subject.on_next(1)
        subject.on_completed()
        async with stage.stream([4]) as outputs:
            assert [output async for output in outputs] == [8]
        assert seen == [2]

    async def test_rule_r19_of_a_policy(self) -> None:
        five: Any = _Five()
        seconds: Any = Fraction(1, 2)
        shared = AdaptiveLimit(five, five, five, target_latency=seconds)
        node = MapNode("double", double).pipe(
            timeout(seconds),
            rate_limit(Decimal(2), per=seconds),  # type: ignore[arg-type]
            limit(ConcurrencyLimit(five)),
            limit(shared),
            retry(five, wait=seconds),
        )
        assert await node.run({"items": [1]}) == {"results": [2]}
        sizes = (shared.size, shared.minimum, shared.maximum, shared.target_latency)
        assert sizes == (5, 5, 5, 0.5)
        assert {type(size) for size in sizes} == {int, float}

    def test_rule_r19_of_an_executor(self) -> None:
        five: Any = _Five()
        policy: Any = on(ThreadPoolExecutor, chunk=five, lanes=five)
        assert (policy.chunk, policy.lanes) == (5, 5)
        assert {type(policy.chunk), type(policy.lanes)} == {int}


class TestYielding:
    """What yields is no function: what it returns is a generator that no one would read."""

    @pytest.mark.parametrize(
        "yielding",
        [
            _generator,
            _async_generator,
            partial(_generator, 1),
            partial(partial(_async_generator, 1)),
            _Yielding(),
            _Yielding().method,
            partial(_Yielding()),
            lambda value: (yield value),
        ],
    )
    @pytest.mark.parametrize(
        ("give", "parameter"),
        [
            (lambda fn: FilterNode("filter", fn), "filter_fn"),
            (lambda fn: ReduceNode("reduce", fn), "reduce_fn"),
        ],
        ids=["FilterNode", "ReduceNode"],
    )
    def test_rule_r17_is_refused_where_it_is_given(
        self, give: Callable[[Any], object], parameter: str, yielding: Any
    ) -> None:
        with pytest.raises(TypeError) as caught:
            give(yielding)
        assert str(caught.value) == (
            f"{parameter} must be a function that returns something, "
            f"got {describe_value(yielding)}, "
            "which yields; let it return a list of what it yields"
        )

    @pytest.mark.parametrize("kind", [_Generating, _AsyncGenerating])
    def test_rule_r17_so_is_a_node_whose_execute_yields(self, kind: type[BaseNode]) -> None:
        with pytest.raises(TypeError) as caught:
            kind()
        assert str(caught.value) == (
            f"{kind.__name__}.execute must return a NodeResult, and it yields; "
            "let it return one whose output is a list of what it yields"
        )

    @pytest.mark.parametrize(
        "yielding",
        [_generator, _async_generator, partial(_generator), _Yielding(), _Yielding().method],
    )
    @pytest.mark.parametrize(
        "wrap", [lambda fn: fn, retry(1), timeout(1), lambda fn: FunctionNode(fn) | len]
    )
    async def test_rule_r17_as_a_node_its_output_is_the_list_of_what_it_yields(
        self, yielding: Any, wrap: Any
    ) -> None:
        (result,) = await BatchProcessor(wrap(yielding)).batch([5])
        assert result.output in ([5], 1)
        assert await MapNode("map", wrap(yielding)).run({"items": [5]}) == {
            "results": [result.output]
        }

    async def test_what_only_wraps_a_generator_function_is_a_function(self) -> None:
        @functools.wraps(_generator)
        def collecting(value: Any) -> list[Any]:
            return list(_generator(value))

        @types.coroutine
        def awaited(value: Any) -> Iterator[Any]:
            yield from asyncio.sleep(1).__await__()
            return [value]

        for fn in (collecting, awaited, partial(collecting), functools.lru_cache(collecting)):
            assert await FunctionNode(fn).run(1) == [1]
        assert is_generator_function(_generator)
        assert not any(
            is_generator_function(fn) for fn in (len, dict, print, str.upper, [].append, _Five)
        )


class TestCoroutines:
    """A function that was called instead of passed; a coroutine never awaited is a warning."""

    @pytest.mark.parametrize(
        ("give", "message"),
        [
            (BatchProcessor, "node must be a node or a function"),
            (FunctionNode, "fn must be a function"),
            (lambda call: MapNode("map", call), "child_node must be a node or a function"),
            (lambda call: FilterNode("filter", call), "filter_fn must be a function"),
            (lambda call: FunctionNode(double) | call, "node must be a node or a function"),
            (lambda call: call | FunctionNode(double), "node must be a node or a function"),
            (lambda call: FunctionNode(double).pipe(call), "policy must be a function"),
            (retry(1), "node must be a node or a function"),
        ],
    )
    def test_rule_r18_get_a_hint_and_are_closed(
        self, give: Callable[[Any], object], message: str
    ) -> None:
        call = slowly(1)
        with pytest.raises(TypeError) as caught:
            give(call)
        assert str(caught.value) == (
            f"{message}, got {describe_value(call)}; pass the function itself, without calling it"
        )
        assert inspect.getcoroutinestate(call) == inspect.CORO_CLOSED


@pytest.mark.parametrize("value", [[], (), {1}, range(3), iter([1]), (x for x in "ab"), {}.keys()])
def test_many_items_are_list_like(value: object) -> None:
    assert is_list_like(value)


@pytest.mark.parametrize("value", ["text", b"text", bytearray(b"text"), {"a": 1}, 5, None, len])
def test_texts_mappings_and_single_values_are_not_list_like(value: object) -> None:
    assert not is_list_like(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1], "[1] (list)"),
        ("x" * 58, f"'{'x' * 58}' (str)"),
        ("x" * 59, f"'{'x' * 56}... (str)"),
        (_Unprintable(), "<unprintable> (_Unprintable)"),
    ],
    ids=["short", "just fits", "shortened", "raising repr"],
)
def test_a_shown_value_has_its_type_and_at_most_sixty_characters(value: object, text: str) -> None:
    assert describe_value(value) == text
