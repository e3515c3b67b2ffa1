"""The packages of the extra ``web``, which are imported when they are needed."""

from __future__ import annotations

from importlib import import_module


def check_installed(*names: str) -> None:
    """Check that packages of the extra ``web`` are installed.

    Raises:
        ImportError: If one is not.
    """
    for name in names:
        try:
            import_module(name)
        except ImportError as error:
            message = f"a Dashboard needs {name}: pip install 'nadoo-flow[web]'"
            raise ImportError(message) from error
