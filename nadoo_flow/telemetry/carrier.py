"""The carrier, which takes the current span to the workers of executors."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpanCarrier:
    """The fields that the propagators of OpenTelemetry use for the current context.

    Attributes:
        fields: Such as ``traceparent`` and ``baggage``.
    """

    fields: dict[str, str]

    def attach(self) -> None:
        """Make the span that is carried the current one."""
        try:
            from opentelemetry import context, propagate

            context.attach(propagate.extract(self.fields))
        except ImportError:
            return  # a worker without OpenTelemetry makes no spans
        except Exception:  # of a propagator, which must not fail the item
            _warn_once("the span of an item could not be taken over")


def carry_current_span() -> SpanCarrier | None:
    """Return a carrier of the current context, if there is anything to carry."""
    from opentelemetry import propagate

    fields: dict[str, object] = {}
    try:
        propagate.inject(fields)
        texts = {str(name): str(field) for name, field in fields.items()}
    except Exception:  # of a propagator, which must not fail the item
        _warn_once("the span of an item could not be taken along")
        return None
    return SpanCarrier(texts) if texts else None


@cache
def _warn_once(problem: str) -> None:
    """Log the exception that is being handled, but not for each of a million items."""
    _log.warning(problem, exc_info=True)
