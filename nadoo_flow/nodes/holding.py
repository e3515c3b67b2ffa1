"""The warning about a node that holds the event loop."""

from __future__ import annotations

import asyncio
from functools import partial

from .._support.report_error import warn_of_blocking
from ..streams import OnHeld
from .node import BaseNode


def warn_of(node: BaseNode) -> OnHeld:
    """Return a function that warns of a node which has held the event loop for some seconds."""
    return partial(_warn, node)


def _warn(node: BaseNode, seconds: float) -> None:
    known = vars(node)
    if known.get("_has_warned_of_hold"):
        return
    known["_has_warned_of_hold"] = True
    text = (
        f"node {node.node_id!r} held the event loop for {seconds:.2g} s in one step, in which "
        "nothing else could go on; a function that blocks belongs in a thread: "
        "FunctionNode(function).pipe(in_thread())"
    )
    warn_of_blocking(asyncio.get_running_loop(), text)
