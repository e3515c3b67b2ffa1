"""The pytest plugin, in test files as users write them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

import nadoo_flow.testing

pytestmark = pytest.mark.slow

RunTests: TypeAlias = Callable[..., tuple[dict[str, str], str]]

CONFTEST = 'pytest_plugins = ["nadoo_flow.testing.pytest_plugin"]\n'

VIRTUAL_BACKEND = """
import pytest

@pytest.fixture
def anyio_backend(virtual_time):
    return "asyncio", {"loop_factory": virtual_time}
"""

WITH_PYTEST_ASYNCIO = """
import asyncio
import pytest
import pytest_asyncio
from nadoo_flow.testing import VirtualTimeLoop

@pytest_asyncio.fixture
async def began_at():
    return asyncio.get_running_loop().time()

async def is_virtual():
    return isinstance(asyncio.get_running_loop(), VirtualTimeLoop)

@pytest.mark.asyncio
async def test_virtual(virtual_time, began_at):
    await asyncio.sleep(86_400)
    assert (began_at, asyncio.get_running_loop().time()) == (0, 86_400)

@pytest.mark.asyncio
@pytest.mark.usefixtures("virtual_time")
async def test_by_a_mark():
    assert await is_virtual()

@pytest.mark.asyncio
async def test_real():
    assert not await is_virtual()

def test_no_coroutine(virtual_time):
    with asyncio.Runner(loop_factory=virtual_time) as runner:
        assert runner.run(is_virtual())

@pytest.mark.asyncio
async def test_deadlock(virtual_time):
    await asyncio.Event().wait()
"""

WITH_ANYIO = """
import anyio
import asyncio
import pytest
from nadoo_flow.testing import VirtualTimeLoop

pytestmark = pytest.mark.anyio

@pytest.fixture
async def began_at():
    return anyio.current_time()

async def test_virtual(virtual_time, began_at):
    await anyio.sleep(86_400)
    assert (began_at, anyio.current_time()) == (0, 86_400)

async def test_deadlock(virtual_time):
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.Event().wait, name="waiter")
"""

PLUGINS = {"asyncio": "pytest_asyncio.plugin", "anyio": "anyio.pytest_plugin"}


@pytest.fixture
def run_tests(tmp_path: Path) -> RunTests:
    """Run a test file beside a conftest, and return the outcomes by names, and what it printed."""

    def run(tests: str, conftest: str, *plugins: str) -> tuple[dict[str, str], str]:
        (tmp_path / "conftest.py").write_text(conftest)
        (tmp_path / "test_it.py").write_text(tests)
        options = [option for plugin in plugins for option in ("-p", PLUGINS[plugin])]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *options],
            cwd=tmp_path,
            # Without the options of the run that this test is part of.
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        outcomes = re.findall(r"^test_it\.py::(\S+) ([A-Z]+) ", done.stdout, re.MULTILINE)
        return dict(outcomes), done.stdout + done.stderr

    return run


def test_virtual_time_with_pytest_asyncio(run_tests: RunTests) -> None:
    outcomes, printed = run_tests(WITH_PYTEST_ASYNCIO, CONFTEST, "asyncio")
    assert outcomes == {
        "test_virtual": "PASSED",
        "test_by_a_mark": "PASSED",
        "test_real": "PASSED",
        "test_no_coroutine": "PASSED",
        "test_deadlock": "FAILED",
    }
    assert "DeadlockError: every task waits" in printed
    assert re.search(r"waits in test_deadlock \(\S+/test_it\.py:\d+\) > Event\.wait", printed)


def test_virtual_time_with_anyio(run_tests: RunTests) -> None:
    conftest = CONFTEST + VIRTUAL_BACKEND
    outcomes, printed = run_tests(WITH_ANYIO, conftest, "anyio", "asyncio")
    assert outcomes == {"test_virtual": "PASSED", "test_deadlock": "FAILED"}
    assert "DeadlockError: every task waits" in printed
    assert re.search(r"task 'waiter' waits in .*Event\.wait", printed)


def test_a_test_that_would_run_in_real_time_says_what_to_write(run_tests: RunTests) -> None:
    outcomes, printed = run_tests(WITH_ANYIO, CONFTEST, "anyio")
    assert outcomes
    assert "PASSED" not in outcomes.values()
    assert "virtual time needs a fixture anyio_backend(virtual_time) that returns" in printed
    assert "got 'asyncio'" in printed


def test_an_async_test_that_no_plugin_runs_says_what_is_missing(run_tests: RunTests) -> None:
    tests = "async def test_it(virtual_time):\n    pass\n"
    outcomes, printed = run_tests(tests, CONFTEST)
    assert outcomes == {"test_it": "FAILED"}
    assert "virtual time needs pytest-asyncio 1.4 or later" in printed


def test_the_test_file_of_the_manual_passes(run_tests: RunTests) -> None:
    page = Path(nadoo_flow.testing.__file__).with_name("README.md").read_text(encoding="utf-8")
    tests = next(block for block in page.split("```python\n") if "def test_" in block)
    outcomes, printed = run_tests(tests.partition("```")[0], CONFTEST, "asyncio")
    assert outcomes == {"test_an_hour_of_retries": "PASSED"}, printed


def test_the_kit_imports_neither_pytest_nor_hypothesis() -> None:
    code = "import nadoo_flow.testing, sys; print({'hypothesis', 'pytest'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
