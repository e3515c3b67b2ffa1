"""RouteNode: one of several nodes for each input."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, FunctionNode, NodeResult, route
from nadoo_flow.nodes.route import RouteNode
from nadoo_flow.policies import retry

from ..policies.services import outcome
from ..stand_ins import assert_only_the_caller_runs, now


def kind_of(text: str) -> str:
    return "short" if len(text) < 3 else "long"


async def kind_of_later(text: str) -> str:
    await asyncio.sleep(1)
    return kind_of(text)


def is_short(text: str) -> bool:
    return len(text) < 3


async def slow(text: str) -> str:
    await asyncio.sleep(5)
    return f"slow {text}"


def quick(text: str) -> str:
    return f"quick {text}"


def fail(text: str) -> str:
    raise ValueError(text)


class TestTheRoute:
    @pytest.mark.parametrize("fn", [kind_of, kind_of_later])
    async def test_is_the_one_that_the_function_names(self, fn: Any) -> None:
        results = await BatchProcessor(route(fn, {"short": quick, "long": slow})).batch(
            ["a", "abc"]
        )
        assert results.outputs == ["quick a", "slow abc"]
        assert [result.metadata for result in results] == [{"route": "short"}, {"route": "long"}]

    async def test_may_have_a_name_of_any_kind(self) -> None:
        node = route(is_short, {True: quick, False: slow})
        assert (await outcome(node, "a")).metadata == {"route": True}

    async def test_gets_the_input_as_it_is(self) -> None:
        node = route(lambda data: data["kind"], {"a": lambda data: data["value"]})
        assert (await outcome(node, {"kind": "a", "value": 7})).output == 7

    async def test_is_the_default_for_every_other_name(self) -> None:
        node = route(kind_of, {"short": quick}, default=slow)
        assert (await outcome(node, "abc")).output == "slow abc"
        assert (await outcome(node, "abc")).metadata == {"route": "long"}

    @pytest.mark.parametrize(
        ("name", "shown"), [("odd", "'odd' (str)"), (["short"], "['short'] (list)")]
    )
    async def test_must_exist(self, name: Any, shown: str) -> None:
        result = await outcome(route(lambda _: name, {"short": quick, "long": slow}), "a")
        assert result.error == (
            f"LookupError: fn returned {shown}, which is no route; the routes are 'short', 'long', "
            "and default= would take all others"
        )

    async def test_keeps_what_its_node_says_of_its_work(self) -> None:
        answer = NodeResult(True, "x", metadata={"usage": {"tokens": 3}})
        results = await BatchProcessor(route(kind_of, {"short": lambda _: answer})).batch(["a"])
        assert results[0].metadata == {"usage": {"tokens": 3}, "route": "short"}
        assert results.usage == {"tokens": 3}
        assert answer.metadata == {"usage": {"tokens": 3}}


class TestFailing:
    async def test_names_the_route(self) -> None:
        result = await outcome(route(kind_of, {"short": fail}), "a")
        assert result.error == "route 'short': ValueError: a"
        assert isinstance(result.exception, ValueError)
        assert result.metadata == {"route": "short"}

    async def test_of_the_function_is_a_failure(self) -> None:
        result = await outcome(route(fail, {"short": quick}), "a")
        assert result.error == "ValueError: a"

    async def test_can_be_tried_again(self) -> None:
        tries: list[str] = []

        def unsteady(text: str) -> str:
            tries.append(text)
            return quick(text) if len(tries) == 2 else fail(text)

        result = await outcome(route(kind_of, {"short": unsteady}).pipe(retry(2, wait=1)), "a")
        assert result.output == "quick a"
        assert result.metadata == {"route": "short", "attempts": 2}

    async def test_a_cancel_reaches_the_node(self) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await route(kind_of, {"long": slow}).run("abc")
        assert now() == 2
        assert_only_the_caller_runs()


class TestMaking:
    @pytest.mark.parametrize(
        ("arguments", "error", "text"),
        [
            ((None, {"a": quick}), TypeError, "fn must be"),
            ((kind_of, [quick]), TypeError, "routes must be a mapping from the names of routes"),
            ((kind_of, {}), ValueError, "routes must hold at least one route"),
            ((kind_of, {"a": 5}), TypeError, "the route 'a' must be a node or a function"),
            ((kind_of, {"a": FunctionNode}), TypeError, "the route 'a' must be a node"),
            ((kind_of, {"a": quick}, 5), TypeError, "default must be a node or a function"),
        ],
        ids=lambda value: value.__name__ if isinstance(value, type) else "",
    )
    def test_checks_its_arguments(self, arguments: Any, error: type[Exception], text: str) -> None:
        with pytest.raises(error, match=text):
            route(*arguments)

    def test_isolates_as_its_nodes_do(self) -> None:
        own = FunctionNode(slow)
        own.isolate = "task"
        assert RouteNode(kind_of, {"a": quick}).isolate == "context"
        assert RouteNode(kind_of, {"a": own}).isolate == "task"
        assert RouteNode(kind_of, {"a": quick}, own).isolate == "task"

    def test_is_drawn_with_an_arrow_to_each_route(self) -> None:
        pipeline = str.strip | route(kind_of, {"a": quick}, slow) | str.upper
        lines = pipeline.to_mermaid().splitlines()
        assert '    node1["RouteNode<br/>RouteNode · by kind_of"]' in lines
        assert '        node3["otherwise: slow<br/>FunctionNode"]' in lines
        assert [line.strip() for line in lines if "-->" in line] == [
            "node0 --> node1",
            "node1 --> node2",
            "node1 --> node3",
            "node2 --> node4",
            "node3 --> node4",
        ]
        assert "one of these" in pipeline._repr_svg_()
