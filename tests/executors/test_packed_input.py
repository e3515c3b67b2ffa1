"""Inputs reach a worker with the WorkflowContext of their run."""

from __future__ import annotations

from dataclasses import dataclass
from pickle import PicklingError
from typing import Any

import pytest

from nadoo_flow import WorkflowContext
from nadoo_flow.executors.packed_input import pack_input, unpack_input

from .helpers import REFUSAL, Unpicklable


@dataclass(slots=True)
class Extended(WorkflowContext):
    tenant: str = "none"


@pytest.mark.parametrize("value", [1, {"item": 1}, {"a": [1]}, None, (1, 2), WorkflowContext()])
@pytest.mark.parametrize("shared", [WorkflowContext(), WorkflowContext({"seen": {1, 2}})])
def test_an_input_arrives_as_it_was_given(value: Any, shared: WorkflowContext) -> None:
    assert unpack_input(pack_input(value, shared)) == (value, shared, ())


def test_a_context_of_another_class_arrives_as_that() -> None:
    _, shared, _ = unpack_input(pack_input(1, Extended({"a": 1}, "acme")))
    assert shared == Extended({"a": 1}, "acme")


def test_what_input_and_context_share_they_share_there() -> None:
    table = ["a"]
    value, shared, _ = unpack_input(pack_input(table, WorkflowContext({"table": table})))
    assert value is shared.variables["table"]


@pytest.mark.parametrize(
    ("value", "shared"),
    [(Unpicklable(), WorkflowContext()), (1, WorkflowContext({"lock": Unpicklable()}))],
    ids=["input", "context"],
)
def test_what_cannot_be_pickled_is_named(value: Any, shared: WorkflowContext) -> None:
    with pytest.raises(PicklingError, match=f"^the input cannot be pickled: {REFUSAL}$"):
        pack_input(value, shared)
