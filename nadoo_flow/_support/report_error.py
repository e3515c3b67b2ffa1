"""Errors that have no caller to be raised to."""

from __future__ import annotations

import asyncio
import warnings


def report_error(loop: asyncio.AbstractEventLoop, message: str, error: BaseException) -> None:
    """Report an error to the exception handler of the event loop, which logs it by default."""
    loop.call_exception_handler({"message": message, "exception": error})


def warn_of_blocking(loop: asyncio.AbstractEventLoop, message: str) -> None:
    """Warn of code that holds the event loop; where warnings are errors, report it instead.

    The warning must not become an error of the item that is in work.
    """
    try:
        warnings.warn(message, RuntimeWarning, stacklevel=1)
    except RuntimeWarning as error:
        report_error(loop, message, error)
