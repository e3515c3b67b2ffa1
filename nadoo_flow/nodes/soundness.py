"""Results made sound: an error is a text, metadata are a dict, whatever a node put there."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from .._support.checks import describe_value
from ..errors import NO_MESSAGE, describe_error


class Result(Protocol):
    """What NodeResult and BatchResult have in common."""

    success: bool
    output: Any
    error: str | None
    metadata: dict[str, Any]
    exception: BaseException | None


R = TypeVar("R", bound=Result)


def make_sound(result: R) -> R:
    """Return a result whose fields are what their annotations say: the same one if they are.

    The exception that was given as the ``error`` of a result becomes its ``exception``, unless it
    has one. Metadata that are no mapping are kept under the key ``"metadata"``. A failure has a
    text in any case.
    """
    if _is_sound(result):
        return result
    error: Any = result.error
    exception: Any = result.exception
    if not isinstance(exception, BaseException):
        exception = error if isinstance(error, BaseException) else None
    # A copy, because a node may hand out one result many times.
    sound = copy.copy(result)
    sound.success = _as_bool(result)
    sound.error = _as_text(error)
    if not sound.success and not sound.error:
        sound.error = NO_MESSAGE if exception is None else describe_error(exception)
    sound.metadata = _as_dict(result.metadata)
    sound.exception = exception
    return sound


def _is_sound(result: Result) -> bool:
    return (
        isinstance(result.success, bool)
        and (isinstance(result.error, str) or result.error is None)
        and (result.success or bool(result.error))
        and isinstance(result.metadata, dict)
        and (isinstance(result.exception, BaseException) or result.exception is None)
    )


def _as_bool(result: Result) -> bool:
    success: Any = result.success
    # The output in the place of success would be lost.
    if result.output is None and isinstance(success, (Mapping, list, tuple)):
        kind = type(result).__name__
        raise TypeError(
            f"the success of a {kind} must be True or False, got {describe_value(success)}; "
            f"write {kind}(success=True, output=...)"
        )
    return bool(success)


def _as_text(error: Any) -> str | None:
    if error is None or isinstance(error, str):
        return error
    if isinstance(error, BaseException):
        return describe_error(error)
    try:
        return str(error)
    except Exception as broken:  # a raising __str__ must not hide the failure itself
        return f"<{type(error).__name__}: its text could not be read: {type(broken).__name__}>"


def _as_dict(metadata: Any) -> dict[str, Any]:
    if isinstance(metadata, dict):
        return metadata
    if metadata is None:
        return {}
    return dict(metadata) if isinstance(metadata, Mapping) else {"metadata": metadata}
