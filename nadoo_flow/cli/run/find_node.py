"""The node that the command line names, with the policies of its options."""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import sys
from typing import Any

from ...errors import describe_error
from ...nodes.node import BaseNode, Pipeline, Policy, as_node, spread
from ...policies import cache, rate_limit, retry, timeout
from ..console import CommandError
from .bad_line import refuse_bad_lines
from .budget import make_budget_policy


def find_node(name: str) -> BaseNode:
    """Find the node that ``MODULE:NODE`` names: a node, a node class, or a function.

    Raises:
        CommandError: If there is none.
    """
    module_name, colon, attributes = name.partition(":")
    if not (module_name and colon and attributes):
        raise CommandError(f"name a node as MODULE:NODE, not {name!r}")
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        hint = f" (write {module_name[:-3]}:{attributes})" if module_name.endswith(".py") else ""
        raise CommandError(f"cannot import {module_name}{hint}: {describe_error(error)}") from error
    for attribute in attributes.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError as error:
            raise CommandError(f"{module_name} has no {attributes}") from error
    try:
        if inspect.isclass(found) and issubclass(found, BaseNode):
            found = found()
        return as_node(found, name)
    except Exception as error:
        raise CommandError(f"{name} cannot be used as a node: {describe_error(error)}") from error


def apply_policies(
    node: BaseNode, options: argparse.Namespace, in_workers: Policy | None = None
) -> BaseNode:
    """Wrap a node in the policies that the options ask for, in the recommended order.

    Where each node of a pipeline is recorded, they go around each of them.

    Args:
        node: The node.
        options: The options.
        in_workers: Executes the node in workers, if that is not to be done here.

    Raises:
        CommandError: If options exclude each other, or the node has no nodes to be recorded.
    """
    if options.checkpoint_each and spread(node) == (node,):
        raise CommandError(
            f"--checkpoint-each needs a pipeline, whose nodes it records, and {options.node} is "
            f"{node!r}"
        )
    if options.rate is not None and options.budget is not None:
        raise CommandError("--rate and --budget exclude each other")
    policies: list[Policy] = []
    if in_workers is not None:
        policies.append(in_workers)
    if options.timeout is not None:
        policies.append(timeout(options.timeout))
    if options.rate is not None:
        policies.append(rate_limit(options.rate))
    if options.budget is not None:
        policies.append(make_budget_policy(options.budget))
    if options.retries:
        policies.append(retry(attempts=options.retries + 1))
    if options.cache is not None:
        policies.append(cache(options.cache))
    if not options.checkpoint_each:
        return refuse_bad_lines(node.pipe(*policies))
    first, *others = (inner.pipe(*policies) for inner in spread(node))
    return Pipeline(refuse_bad_lines(first), *others, node_id=node.node_id)
