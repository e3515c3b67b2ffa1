"""The names of attributes: those of the semantic conventions where there are any."""

from __future__ import annotations

from .texts import name_type

ERROR_MESSAGE = "error.message"
ERROR_TYPE = "error.type"
EXCEPTION_MESSAGE = "exception.message"
EXCEPTION_STACKTRACE = "exception.stacktrace"
EXCEPTION_TYPE = "exception.type"
FALLBACK = "nadoo_flow.fallback"
INDEX = "nadoo_flow.item.index"
OUTCOME = "nadoo_flow.outcome"
RUN = "nadoo_flow.run"
STAGE = "nadoo_flow.stage"
STAGES = "nadoo_flow.run.stages"
TOTAL = "nadoo_flow.run.total"
USAGE = "nadoo_flow.usage."

OTHER_ERROR = "_OTHER"
"""The ``error.type`` of a failure that has no type."""


def name_error_type(exception: BaseException | None) -> str:
    """Return the ``error.type`` of a failure."""
    return OTHER_ERROR if exception is None else name_type(exception)
