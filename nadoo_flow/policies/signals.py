"""Signs of overload in a failure: a time to wait, or a status of the service behind a node."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from ..nodes.context import NodeResult

OVERLOADED = (429, 503, 529)
"""Statuses that mean overload; 529 is in use though unassigned."""


def read_retry_after(result: NodeResult) -> float:
    """Read how many seconds a failure asks to wait; 0 if it does not.

    They are in ``metadata["retry_after"]``, an attribute ``retry_after`` of the exception, or a
    Retry-After header of the exception or its ``response`` (RFC 9110, section 10.2.3: seconds, or
    a date).
    """
    error = result.exception
    for asked in (
        result.metadata.get("retry_after"),
        _read_attribute(error, "retry_after"),
        _read_header(_read_attribute(_read_attribute(error, "response"), "headers")),
        _read_header(_read_attribute(error, "headers")),
    ):
        seconds = _read_seconds(asked)
        if 0 < seconds < math.inf:
            return seconds
    return 0.0


def is_overload(result: NodeResult) -> bool:
    """Return whether a failure means that the service is overloaded.

    That is a timeout, a status that says so, or a failure that asks to come back later.
    """
    if result.success:
        return False
    return isinstance(result.exception, TimeoutError) or is_refusal(result)


def is_refusal(failed: NodeResult) -> bool:
    """Return whether a service has refused a call because it is overloaded.

    That is a status that says so, or a failure that asks to come back later.
    """
    error = failed.exception
    statuses = (
        _read_attribute(error, "status_code"),
        _read_attribute(error, "status"),
        _read_attribute(_read_attribute(error, "response"), "status_code"),
    )
    return any(status in OVERLOADED for status in statuses) or read_retry_after(failed) > 0


def _read_attribute(owner: object, name: str) -> Any:
    try:
        return getattr(owner, name, None)
    except Exception:  # a raising property of an exception must not hide the failure itself
        return None


def _read_header(headers: Any) -> Any:
    try:
        return headers.get("retry-after") or headers.get("Retry-After")
    except Exception:  # not a mapping after all
        return None


def _read_seconds(asked: Any) -> float:
    if isinstance(asked, timedelta):
        return asked.total_seconds()
    try:
        return float(asked)
    except (TypeError, ValueError, OverflowError):
        return _count_seconds_until(asked)


def _count_seconds_until(date: Any) -> float:
    try:
        moment = parsedate_to_datetime(date)
    except (TypeError, ValueError, AttributeError, OverflowError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime.now(UTC)).total_seconds()
