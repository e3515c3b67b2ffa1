"""The exceptions that code inside may raise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Unreadable(Exception):
    """An exception whose message cannot be had."""

    def __str__(self) -> str:
        raise ValueError("no message")


class Interrupt(KeyboardInterrupt):
    """A KeyboardInterrupt that is not the user's own."""


class Exit(SystemExit):
    """A SystemExit of the code inside."""


class Odd(BaseException):
    """An exception that is no Exception."""


ERRORS: dict[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError("planned"),
    "OSError": lambda: OSError(5, "planned"),
    "TimeoutError": TimeoutError,
    "RuntimeError": lambda: RuntimeError("planned"),
    "StopIteration": lambda: StopIteration("planned"),
    "StopAsyncIteration": lambda: StopAsyncIteration("planned"),
    "GeneratorExit": lambda: GeneratorExit("planned"),
    "CancelledError": lambda: asyncio.CancelledError("planned"),
    "Unreadable": Unreadable,
    "ExceptionGroup": lambda: ExceptionGroup("planned", [ValueError("planned")]),
    "BaseExceptionGroup": lambda: BaseExceptionGroup("planned", [Odd("planned")]),
    "AssertionError": AssertionError,
    "Interrupt": lambda: Interrupt("planned"),
    "Exit": lambda: Exit("planned"),
    "Odd": lambda: Odd("planned"),
}

FATAL = ("Interrupt", "Exit", "Odd", "BaseExceptionGroup")
"""Those that end the run whatever it was told about errors."""

PLAIN = tuple(name for name in ERRORS if name not in FATAL)
"""Those that fail an item or a source and nothing else."""

ODD = ("GeneratorExit", "CancelledError", "StopIteration", "StopAsyncIteration")
"""Those that mean something else to Python itself, which are drawn more often."""

CONTAINED = tuple(name for name in PLAIN if name not in ("GeneratorExit", "CancelledError"))
"""Those that a TaskGroup raises as an ExceptionGroup."""
