"""What passes through a node."""

from __future__ import annotations

from collections import UserDict
from types import MappingProxyType
from typing import Any

import pytest

from nadoo_flow import NodeContext, NodeResult, WorkflowContext
from nadoo_flow.nodes.context import as_input, unwrap_item

_MAPPINGS: list[Any] = [{}, {"prompt": "x"}, MappingProxyType({"a": 1}), UserDict(a=1)]
_BARE_VALUES: list[Any] = [None, 0, "text", b"bytes", [1, 2], ("a", 1), [("a", 1)]]


def test_what_the_caller_leaves_out_is_empty() -> None:
    assert NodeContext().input_data == {}
    assert WorkflowContext().variables == {}
    result = NodeResult(success=True)
    assert (result.output, result.error, result.metadata, result.exception) == (
        None,
        None,
        {},
        None,
    )


def test_defaults_are_not_shared() -> None:
    NodeContext().input_data["a"] = 1
    WorkflowContext().variables["a"] = 1
    NodeResult(success=True).metadata["a"] = 1
    assert NodeContext().input_data == {}
    assert WorkflowContext().variables == {}
    assert NodeResult(success=True).metadata == {}


def test_the_exception_is_no_part_of_a_results_equality_and_repr() -> None:
    result = NodeResult(success=False, error="no luck", exception=ValueError("secret"))
    assert result == NodeResult(success=False, error="no luck")
    assert "secret" not in repr(result)


def test_more_metadata_makes_another_answer_of_the_same() -> None:
    cause = ValueError("x")
    result = NodeResult(False, {"a": 1}, "no luck", {"model": "m", "tries": 1}, cause)
    more = result.with_metadata(tries=2, waited=0.5)
    assert more == NodeResult(False, {"a": 1}, "no luck", {"model": "m", "tries": 2, "waited": 0.5})
    assert more.exception is cause
    assert result.metadata == {"model": "m", "tries": 1}


@pytest.mark.parametrize("make", [NodeContext, WorkflowContext, lambda: NodeResult(True)])
def test_a_misspelt_attribute_is_an_error(make: Any) -> None:
    with pytest.raises(AttributeError):
        make().ouput = 1


@pytest.mark.parametrize("data", _MAPPINGS)
def test_a_mapping_is_an_input_as_it_is(data: Any) -> None:
    assert as_input(data) is data


@pytest.mark.parametrize("value", _BARE_VALUES)
def test_any_other_value_travels_in_an_envelope_and_comes_out_of_it(value: Any) -> None:
    assert as_input(value) == {"item": value}
    assert unwrap_item(as_input(value)) is value


@pytest.mark.parametrize("data", [*_MAPPINGS, *_BARE_VALUES, {"item": 1, "more": 2}])
def test_what_is_no_envelope_is_not_unwrapped(data: Any) -> None:
    assert unwrap_item(data) is data


def test_only_one_envelope_is_taken_off() -> None:
    assert unwrap_item({"item": {"item": 1}}) == {"item": 1}
