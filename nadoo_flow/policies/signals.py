"""What a failure says about the service behind a node: come back later, or too much at once."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Any

from ..context import NodeResult

TOO_MANY_REQUESTS = 429
SERVICE_UNAVAILABLE = 503


def retry_after(result: NodeResult) -> float:
    """Read how many seconds a failure asks to wait; 0 if it does not.

    Looked for are ``metadata["retry_after"]``, an attribute ``retry_after`` of the exception, and
    a Retry-After header of the exception's ``response`` (RFC 9110, section 10.2.3: seconds, or a
    date).
    """
    for asked in (
        result.metadata.get("retry_after"),
        getattr(result.exception, "retry_after", None),
        _header(result.exception),
    ):
        seconds = _seconds(asked)
        if seconds > 0:
            return seconds
    return 0.0


def is_overload(result: NodeResult) -> bool:
    """Tell whether a failure means that the service has too much to do.

    That is a timeout, a status of 429 or 503, or a failure that asks to come back later.
    """
    if result.success:
        return False
    error = result.exception
    statuses = {getattr(error, "status_code", None), getattr(error, "status", None)}
    statuses.add(getattr(getattr(error, "response", None), "status_code", None))
    return (
        isinstance(error, TimeoutError)
        or not statuses.isdisjoint({TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE})
        or retry_after(result) > 0
    )


def _header(error: BaseException | None) -> Any:
    headers: Any = getattr(getattr(error, "response", None), "headers", None)
    try:
        return headers.get("retry-after") or headers.get("Retry-After")
    except AttributeError:
        return None


def _seconds(asked: Any) -> float:
    try:
        return float(asked)
    except (TypeError, ValueError):
        pass
    try:
        return parsedate_to_datetime(asked).timestamp() - time.time()
    except (TypeError, ValueError, AttributeError):
        return 0.0
