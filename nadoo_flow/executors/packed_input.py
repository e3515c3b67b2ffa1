"""Inputs as bytes, on their way to a worker."""

from __future__ import annotations

from typing import Any

from ..events import Carrier
from ..nodes.context import WorkflowContext
from .wire import pack, unpack


def pack_input(
    value: Any, workflow_context: WorkflowContext, carriers: tuple[Carrier, ...] = ()
) -> bytes:
    """Pickle the input of a call and what goes along.

    Raises:
        PicklingError: If it cannot be pickled.
    """
    # A class costs ten times as much as all the rest of a small input.
    is_plain = type(workflow_context) is WorkflowContext
    shared = workflow_context.variables if is_plain else workflow_context
    return pack((value, is_plain, shared, carriers), "the input")


def unpack_input(payload: bytes) -> tuple[Any, WorkflowContext, tuple[Carrier, ...]]:
    """Unpickle the input of a call and what goes along.

    Raises:
        UnpicklingError: If that fails, for example because a module is missing.
    """
    value, is_plain, shared, carriers = unpack(payload, "the input")
    return value, WorkflowContext(shared) if is_plain else shared, carriers
