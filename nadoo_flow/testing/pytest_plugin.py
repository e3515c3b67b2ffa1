"""The pytest plugin: the fixture ``virtual_time``, by which a test runs in virtual time.

Name it in the root ``conftest.py``: ``pytest_plugins = ["nadoo_flow.testing.pytest_plugin"]``. It
is no entry point, because pytest would import the library then wherever it is installed, also in
the tests of other projects, and before a coverage tool can measure that.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Generator, Mapping
from typing import Any

import pytest

from .virtual_loop import VirtualTimeLoop, virtual_time

NAME = virtual_time.__name__


@pytest.fixture(name=NAME, scope="session")
def provide_virtual_time() -> Callable[[], asyncio.AbstractEventLoop]:
    """Run the test in virtual time; the value is the loop factory, for tests that are not async.

    pytest-asyncio makes the loop of the test by it. For anyio's plugin write a fixture
    ``anyio_backend(virtual_time)`` that returns ``("asyncio", {"loop_factory": virtual_time})``.
    ``pytestmark = pytest.mark.usefixtures("virtual_time")`` is for all tests of a module.
    """
    return virtual_time


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Generator[None, Any, Mapping[str, Callable[[], asyncio.AbstractEventLoop]]]:
    """Have pytest-asyncio make the loop of a test that asks for virtual time."""
    others: Mapping[str, Callable[[], asyncio.AbstractEventLoop]] | None = yield
    if _wants_virtual_time(item):
        return {"virtual": virtual_time}
    return {"default": asyncio.new_event_loop} if others is None else others


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Refuse to run an async test in real time that asks for virtual time.

    Raises:
        pytest.UsageError: If no plugin makes the loop of the test by the factory.
    """
    if _wants_virtual_time(item) and inspect.iscoroutinefunction(getattr(item, "obj", None)):
        arguments = getattr(item, "funcargs", {})
        if "anyio_backend" in arguments:
            _check_backend(arguments["anyio_backend"])
        elif not item.config.hook.pytest_asyncio_loop_factories.has_spec():
            raise pytest.UsageError(
                "virtual time needs pytest-asyncio 1.4 or later, or the marker of anyio's plugin"
            )


def _wants_virtual_time(item: pytest.Item) -> bool:
    return NAME in getattr(item, "fixturenames", ())


def _check_backend(backend: object) -> None:
    match backend:
        case ("asyncio", {"loop_factory": factory}) if factory in (virtual_time, VirtualTimeLoop):
            return
    raise pytest.UsageError(
        "virtual time needs a fixture anyio_backend(virtual_time) that returns "
        f'("asyncio", {{"loop_factory": virtual_time}}), got {backend!r}'
    )
