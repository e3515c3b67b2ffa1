"""What a failure says about the service behind a node: come back later, or too much at once."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from ..nodes.context import NodeResult

OVERLOADED = (429, 503, 529)
"""Statuses by which services say that they have too much to do; 529 is in use though unassigned."""


def retry_after(result: NodeResult) -> float:
    """Read how many seconds a failure asks to wait; 0 if it does not.

    Looked for are ``metadata["retry_after"]``, an attribute ``retry_after`` of the exception, and
    a Retry-After header of the exception or its ``response`` (RFC 9110, section 10.2.3: seconds,
    or a date).
    """
    error = result.exception
    for asked in (
        result.metadata.get("retry_after"),
        _attribute(error, "retry_after"),
        _header(_attribute(_attribute(error, "response"), "headers")),
        _header(_attribute(error, "headers")),
    ):
        seconds = _seconds(asked)
        if 0 < seconds < math.inf:
            return seconds
    return 0.0


def is_overload(result: NodeResult) -> bool:
    """Tell whether a failure means that the service has too much to do.

    That is a timeout, a status that says so, or a failure that asks to come back later.
    """
    if result.success:
        return False
    error = result.exception
    statuses = (
        _attribute(error, "status_code"),
        _attribute(error, "status"),
        _attribute(_attribute(error, "response"), "status_code"),
    )
    return (
        isinstance(error, TimeoutError)
        or any(status in OVERLOADED for status in statuses)
        or retry_after(result) > 0
    )


def _attribute(owner: object, name: str) -> Any:
    try:
        return getattr(owner, name, None)
    except Exception:  # a property of somebody's exception must not hide the failure itself
        return None


def _header(headers: Any) -> Any:
    try:
        return headers.get("retry-after") or headers.get("Retry-After")
    except Exception:  # not a mapping after all
        return None


def _seconds(asked: Any) -> float:
    if isinstance(asked, timedelta):
        return asked.total_seconds()
    try:
        return float(asked)
    except (TypeError, ValueError, OverflowError):
        return _seconds_until(asked)


def _seconds_until(date: Any) -> float:
    try:
        moment = parsedate_to_datetime(date)
    except (TypeError, ValueError, AttributeError, OverflowError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime.now(UTC)).total_seconds()
