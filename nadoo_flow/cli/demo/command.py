"""The command ``demo``."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import sysconfig
import time
import warnings

from nadoo_flow import NodeContext, NodeResult, WorkflowContext

from ..console import Commands, escape_unprintable, parse_positive_int, print_lines
from .files import SUFFIXES, find_documents
from .overview import format_overview
from .pipeline import build_pipeline
from .progress_line import ProgressLine

STANDARD_LIBRARY = sysconfig.get_path("stdlib")


async def read_documents(path: str, documents: list[str], longest: int) -> NodeResult:
    """Run the pipeline and show its progress."""
    print(
        f"documents in {escape_unprintable(path)}: {len(documents):,}", file=sys.stderr, flush=True
    )
    with ProgressLine(len(documents), "documents", sys.stderr) as progress:
        return await build_pipeline(progress.advance, longest).execute(
            NodeContext({"documents": [{"document": document} for document in documents]}),
            WorkflowContext(),
        )


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    path = options.path
    # Packages that are installed below the standard library are no part of it.
    leave_out = ("site-packages", "dist-packages") if path == STANDARD_LIBRARY else ()
    documents = find_documents(path, leave_out)
    started = time.perf_counter()
    with warnings.catch_warnings():
        for about_the_code in (SyntaxWarning, DeprecationWarning):
            warnings.simplefilter("ignore", about_the_code)
        result = asyncio.run(read_documents(path, documents, options.rows))
    root = os.path.dirname(path) if os.path.isfile(path) else path
    print_lines(format_overview(documents, root, result, options.rows))
    print(f"\ntook {time.perf_counter() - started:.1f} s")


def add_command(commands: Commands) -> None:
    """Add ``demo`` to the command line."""
    demo = commands.add_parser(
        "demo",
        help="read the documents below a folder and report on them",
        description=f"Read every {', '.join(SUFFIXES)} file below a folder and report on them: "
        "totals, the longest ones, and those that could not be read.",
    )
    demo.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        default=STANDARD_LIBRARY,
        help="a folder or a document (default: this Python's standard library)",
    )
    demo.add_argument(
        "--rows",
        metavar="N",
        type=parse_positive_int,
        default=10,
        help="how many of the longest and of the failed documents to list (default: 10)",
    )
    demo.set_defaults(run=run)
