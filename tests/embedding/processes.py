"""The processes that the tests start: each is waited for by what it says, and killed at the end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from .programs import program

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 30.0
"""Seconds after which something is taken to hang."""
GRACE = ("--timeout-graceful-shutdown", "60")
"""What has uvicorn wait for answers, for longer than a test does."""


class Process:
    """A program that runs until the end of its test.

    Args:
        command: Its path and its arguments.
        inherited: Files that it gets from this process.
        folder: Where it runs.
        variables: Of its environment, added to those of this process.
    """

    def __init__(
        self,
        *command: str,
        inherited: tuple[int, ...] = (),
        folder: Path = ROOT,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.running = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=inherited,
        )
        self.said: list[str] = []

    def wait_for(self, text: str) -> None:
        """Read what the program says until a line with a text."""
        assert self.running.stdout is not None
        for line in self.running.stdout:
            self.said.append(line)
            if text in line:
                return
        raise AssertionError(f"ended without saying {text!r}:\n{''.join(self.said)}")

    def end(self, patience: float = PATIENCE) -> int:
        """Read the rest of what the program says, and return its exit status."""
        rest, _ = self.running.communicate(timeout=patience)
        self.said.extend(rest.splitlines(keepends=True))
        return self.running.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self.running:
            self.running.kill()


class WebServer(Process):
    """Uvicorn with a web program, on a free port.

    Args:
        arguments: Of uvicorn: the program, and options.
        folder: Where it runs.
    """

    def __init__(self, *arguments: str, folder: Path = ROOT) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            # The server inherits the socket: no port is lost to somebody else, and whoever connects
            # before the server is up waits in the queue of the socket.
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            listening.set_inheritable(True)
            options = f"--fd {listening.fileno()} --no-access-log"
            super().__init__(
                sys.executable,
                *["-m", "uvicorn", *arguments, *options.split()],
                inherited=(listening.fileno(),),
                folder=folder,
            )

    def client(self) -> httpx.Client:
        """Return a client that asks the server how it is."""
        return httpx.Client(base_url=self.url, timeout=PATIENCE)

    def async_client(self) -> httpx.AsyncClient:
        """Return a client with any number of connections."""
        limits = httpx.Limits(max_connections=None)
        return httpx.AsyncClient(base_url=self.url, timeout=PATIENCE, limits=limits)


class RedisServer(Process):
    """A Redis server on a free port, with all that it knows in memory."""

    def __init__(self, folder: Path) -> None:
        path = program("redis-server", "redis-server")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{port}"
        options = f"--port {port} --bind 127.0.0.1 --appendonly no --dir {os.fspath(folder)}"
        super().__init__(path, *options.split(" "), "--save", "")
        self.wait_for("Ready to accept connections")
