"""Errors that have no caller to be raised to."""

from __future__ import annotations

import asyncio


def report_error(loop: asyncio.AbstractEventLoop, message: str, error: BaseException) -> None:
    """Report an error to the exception handler of the event loop, which logs it by default."""
    loop.call_exception_handler({"message": message, "exception": error})
