"""What an answer used, together with the answers that led to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._support.usage import UsageCount
from .context import NodeResult


def has_usage(result: NodeResult) -> bool:
    """Return whether an answer says what it used, or saved."""
    return "usage" in result.metadata or "saved" in result.metadata


def add_usage(result: NodeResult, others: Iterable[NodeResult]) -> NodeResult:
    """Return an answer whose metadata counts what other answers to the same input used, too.

    Args:
        result: The answer.
        others: Answers that do not go out themselves, such as those of tries that failed.
    """
    counted = [other for other in others if has_usage(other)]
    if not counted:
        return result
    count = UsageCount()
    for answer in (*counted, result):
        count.add(answer.metadata)
    entries: dict[str, Any] = count.make_metadata()
    for name, total in entries.items():
        own = result.metadata.get(name)
        if isinstance(own, dict):  # it may hold more than numbers
            entries[name] = {**own, **total}
    return result.with_metadata(**entries)


def mark_as_saved(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of an answer that is given again: what it used is now saved."""
    if "usage" not in metadata:
        return metadata
    count = UsageCount()
    count.add({"saved": metadata["usage"]})
    count.add({"saved": metadata.get("saved")})
    rest = {name: entry for name, entry in metadata.items() if name != "usage"}
    return {**rest, **count.make_metadata()}
