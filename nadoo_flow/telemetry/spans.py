"""Spans that are ended once, whatever becomes of the work that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TypeAlias

from opentelemetry.trace import Span, StatusCode

from .._support.usage import Usage
from ..errors import describe_error
from .attributes import (
    ERROR_MESSAGE,
    ERROR_TYPE,
    EXCEPTION_MESSAGE,
    EXCEPTION_STACKTRACE,
    EXCEPTION_TYPE,
    OUTCOME,
    USAGE,
    name_error_type,
)
from .texts import format_traceback, make_fit, name_type

Attributes: TypeAlias = Mapping[str, str | int | float]

LARGEST = 2**63 - 1
"""The largest whole number that exporters can encode."""


class OpenSpan:
    """A span that is to be ended.

    One that is forgotten, because the event loop was closed before the work had ended, is ended
    when it is garbage.

    Args:
        span: A span that is recorded.
    """

    __slots__ = ("_span",)

    def __init__(self, span: Span) -> None:
        self._span: Span | None = span

    def add_event(self, name: str, attributes: Attributes) -> None:
        """Add an event to the span."""
        if self._span is not None:
            self._span.add_event(name, attributes)

    def end(self, outcome: str, attributes: Attributes | None = None) -> None:
        """End the span.

        Args:
            outcome: What became of the work.
            attributes: More to say about it.
        """
        span, self._span = self._span, None
        if span is not None:
            try:
                span.set_attributes({OUTCOME: outcome, **(attributes or {})})
            finally:
                span.end()

    def fail(
        self,
        error: str | None,
        exception: BaseException | None,
        attributes: Attributes | None = None,
    ) -> None:
        """End the span of work that has failed.

        Args:
            error: Why, in words.
            exception: The exception behind it, where there is one.
            attributes: More to say about it.
        """
        span, message = self._span, make_fit(error or "")
        if span is None:
            return
        try:
            span.set_status(StatusCode.ERROR, message)
            if exception is not None:
                span.add_event("exception", describe_exception(exception))
        finally:
            failure = {ERROR_TYPE: name_error_type(exception), ERROR_MESSAGE: message}
            self.end("failed", {**failure, **(attributes or {})})

    def __del__(self) -> None:
        with suppress(Exception):  # the interpreter may be about to exit
            self.end("cancelled")


def describe_exception(error: BaseException) -> Attributes:
    """Return the attributes of the event that records an exception."""
    return {
        EXCEPTION_TYPE: name_type(error),
        EXCEPTION_MESSAGE: make_fit(describe_error(error)),
        EXCEPTION_STACKTRACE: format_traceback(error),
    }


def describe_usage(usage: Usage | None) -> Attributes:
    """Return what was used as attributes."""
    return {
        make_fit(f"{USAGE}{name}"): (
            number if isinstance(number, float) else max(-LARGEST, min(number, LARGEST))
        )
        for name, number in (usage or {}).items()
    }
