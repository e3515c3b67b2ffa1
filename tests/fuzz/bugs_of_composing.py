"""Bugs in how the nodes and overrides of a user are taken."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from nadoo_flow import BaseNode, Pipeline
from nadoo_flow._support.checks import hint_at_call, is_generator_function
from nadoo_flow.batch.overrides import accept_context
from nadoo_flow.nodes.node import inherits
from nadoo_flow.nodes.policy import PolicyMark
from nadoo_flow.nodes.soundness import make_sound
from nadoo_flow.stages.stage import ListStage

from .replacing import Planting, replaced, replaced_everywhere

node_module: Any = sys.modules[BaseNode.__module__]


def own_stages_are_fused() -> AbstractContextManager[None]:
    """Fuse a stage whatever it overrides."""
    return replaced(ListStage, "_fuses", lambda stage: True)


def own_instances_are_fused() -> AbstractContextManager[None]:
    """Fuse a stage whatever it overrides, unless its class does."""

    def inherits_by_class(node: BaseNode, base: type[BaseNode], *methods: str) -> bool:
        return all(getattr(type(node), method) is getattr(base, method) for method in methods)

    return replaced_everywhere(inherits, inherits_by_class)


def own_pipelines_are_spread() -> AbstractContextManager[None]:
    """Spread a pipeline into its nodes whatever it overrides."""

    def spread(node: BaseNode) -> tuple[BaseNode, ...]:
        return node.nodes if isinstance(node, Pipeline) else (node,)

    return replaced(node_module, "spread", spread)


def own_single_is_given_the_context() -> AbstractContextManager[None]:
    """Call each override of ``process_single`` with three arguments."""

    def accept(method: Callable[..., Any], arguments: int) -> Callable[..., Any]:
        return method

    return replaced_everywhere(accept_context, accept)


def answers_are_taken_as_they_are() -> AbstractContextManager[None]:
    """Make nothing sound that a node or an override hands out."""
    return replaced_everywhere(make_sound, lambda result: result)


def what_yields_is_taken() -> AbstractContextManager[None]:
    """Take a generator function for a function that returns something."""
    return replaced_everywhere(is_generator_function, lambda value: False)


def policies_are_functions() -> AbstractContextManager[None]:
    """Take a policy for a function, and make a node of it."""
    return replaced_everywhere(PolicyMark, type("PolicyMark", (), {}))


def coroutines_are_left() -> AbstractContextManager[None]:
    """Leave a coroutine in the place of a node as it is, not awaited."""
    return replaced_everywhere(hint_at_call, lambda value: "")


def keys_need_not_meet() -> AbstractContextManager[None]:
    """Join stages of which the one does not put out the list of the other."""
    return replaced(ListStage, "_check_key_of", lambda stage, following: None)


BUGS: dict[Planting, str] = {
    own_stages_are_fused: "own='class'",
    own_instances_are_fused: "own='instance'",
    own_pipelines_are_spread: "_pipeline'",
    own_single_is_given_the_context: "",
    answers_are_taken_as_they_are: "",
    what_yields_is_taken: r"mistake=\('",
    policies_are_functions: r"mistake=\('",
    coroutines_are_left: r"mistake=\('",
    keys_need_not_meet: r"mistake=\('",
}
