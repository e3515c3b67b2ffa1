"""Async tests run in virtual time; ``@pytest.mark.asyncio(loop_factories=["real"])`` opts out."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import hypothesis  # noqa: F401  # or its plugin does so after the last test, and fails on a warning
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from nadoo_flow.testing import VirtualTimeLoop

Execute: TypeAlias = Callable[[NotebookNode], None]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    marker = item.get_closest_marker("asyncio")
    if marker is not None and "loop_factories" in marker.kwargs:
        return {"real": asyncio.new_event_loop}
    return {"virtual": VirtualTimeLoop}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while tests are collected, of which nothing is garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(scope="module", autouse=True)
def _frozen() -> None:
    """Keep what is there before a module's tests out of the garbage collections they ask for."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def execute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Execute:
    """Execute a notebook in place, by this interpreter and without the user's own settings."""
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    startup = tmp_path / "ipythondir" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("punctual_sleep.py"), startup)

    def run(notebook: NotebookNode) -> None:
        # Where no kernels are installed, "python3" is the running interpreter.
        specs = KernelSpecManager(kernel_dirs=[])
        folder = {"metadata": {"path": str(tmp_path)}}
        with TemporaryDirectory() as sockets:  # whose names must be short
            # Of two kernels that start at the same time, both may have found the same port free.
            transport = (
                {"transport": "ipc", "ip": f"{sockets}/kernel"} if os.name == "posix" else {}
            )
            manager = AsyncKernelManager(
                kernel_name="python3", kernel_spec_manager=specs, **transport
            )
            client = NotebookClient(notebook, km=manager, timeout=60, resources=folder)
            asyncio.run(client.async_execute(cleanup_kc=True))

    return run
