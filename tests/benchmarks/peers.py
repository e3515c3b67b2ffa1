"""The packages that are compared with, and the Python that runs each of them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

from .model import Peer

AIOMETER = Peer("aiometer", "aiometer")
AIOSTREAM = Peer("aiostream", "aiostream")
LANGCHAIN = Peer("langchain-core", "langchain_core")
NADOO_FLOW_CORE = Peer("nadoo-flow-core", "nadoo_flow", own_venv=True)
REACTIVEX = Peer("reactivex", "reactivex")
UVLOOP = Peer("uvloop", "uvloop")


class NotInstalledError(Exception):
    """A peer is not there; the message says why."""


def default_cache() -> Path:
    """Return where environments for peers are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "nadoo-flow-bench"


def python_for(peer: Peer | None, cache: Path, *also: Peer) -> str:
    """Return the Python that can import a peer; makes the environment of one that needs its own.

    Args:
        peer: The peer, or None for what needs none.
        cache: Where environments are kept.
        also: What is installed beside a peer in an environment of its own.

    Raises:
        NotInstalledError: If there is none.
    """
    if peer is None:
        return sys.executable
    if peer.own_venv:
        return _own_python(peer, cache, also)
    if importlib.util.find_spec(peer.module) is None:
        raise NotInstalledError(f"pip install {peer.package}")
    return sys.executable


def versions(peers: Iterable[Peer], cache: Path) -> dict[str, str]:
    """Return the versions of peers by the names of their packages."""
    return {
        peer.package: _version(peer, cache) for peer in sorted(peers, key=lambda one: one.package)
    }


def _version(peer: Peer, cache: Path) -> str:
    code = f"import importlib.metadata; print(importlib.metadata.version({peer.package!r}))"
    try:
        return _run(python_for(peer, cache), "-I", "-c", code).strip()
    except (NotInstalledError, subprocess.CalledProcessError):
        return "not installed"


def _own_python(peer: Peer, cache: Path, also: Iterable[Peer]) -> str:
    folder = cache / f"{peer.package}-py{sys.version_info.major}.{sys.version_info.minor}"
    python = venv.EnvBuilder().ensure_directories(folder).env_exe
    if not _can_import(python, peer):
        print(f"installing {peer.package} into {folder}", file=sys.stderr)
        try:
            venv.EnvBuilder(clear=True, with_pip=True).create(folder)
        except subprocess.CalledProcessError as error:
            raise NotInstalledError(f"no environment could be made in {folder}") from error
        _pip_install(python, peer)
    for other in also:
        if not _can_import(python, other):
            _pip_install(python, other)
    return str(python)


def _pip_install(python: str, peer: Peer) -> None:
    try:
        _run(python, "-m", "pip", "install", "--quiet", peer.package)
    except subprocess.CalledProcessError as error:
        raise NotInstalledError(f"pip install {peer.package} failed") from error


def _can_import(python: str, peer: Peer) -> bool:
    # -I: what is in the current folder is not what is installed.
    try:
        _run(python, "-I", "-c", f"import {peer.module}")
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
