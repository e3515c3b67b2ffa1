"""The live page of a run, if the options ask for one."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from ...batch.processor import BatchProcessor
from ..console import CommandError

HOST = "127.0.0.1"


class Address(NamedTuple):
    """Where to listen; port 0 is one that is free."""

    host: str
    port: int


def add_dashboard_option(command: argparse.ArgumentParser) -> None:
    """Add ``--dashboard``."""
    command.add_argument(
        "--dashboard",
        metavar="HOST:PORT",
        nargs="?",
        type=_parse_address,
        const=Address(HOST, 0),
        help=f"show the run on a live page ({HOST}, a free port)",
    )


@asynccontextmanager
async def serve_page(options: argparse.Namespace, processor: BatchProcessor) -> AsyncIterator[None]:
    """Serve the page of a processor inside the block, if the options ask for that.

    Its URL has a token, since the page can end the run and others may use the machine too.

    Raises:
        CommandError: If that is not possible.
    """
    address: Address | None = options.dashboard
    if address is None:
        yield
        return
    from ...dashboard import Dashboard

    try:
        dashboard = Dashboard(
            processor, control=True, token=secrets.token_urlsafe(24), name=options.node
        )
        server = await dashboard.serve(*address)
    except ImportError as error:
        raise CommandError(str(error)) from error
    except (OSError, OverflowError) as error:
        raise CommandError(f"cannot listen at {address.host}:{address.port}: {error}") from error
    async with server:
        print(f"live page: {server.url}", file=sys.stderr, flush=True)
        yield


def _parse_address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not port.isascii() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(
            f"must be HOST:PORT, got {text!r}; what is no address goes before --dashboard"
        )
    return Address(host.removeprefix("[").removesuffix("]") or HOST, int(port))
