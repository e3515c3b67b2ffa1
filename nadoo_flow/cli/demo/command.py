"""``demo`` on the command line."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import sysconfig
import time
import warnings

from nadoo_flow import NodeContext, NodeResult, WorkflowContext

from ..console import Commands, Progress, positive, print_lines, printable
from .files import SUFFIXES, find
from .pipeline import pipeline
from .report import report

STANDARD_LIBRARY = sysconfig.get_path("stdlib")


async def read_documents(path: str, documents: list[str], longest: int) -> NodeResult:
    """Run the pipeline and show its progress."""
    print(f"documents in {printable(path)}: {len(documents):,}", file=sys.stderr, flush=True)
    with Progress(len(documents), "documents", sys.stderr) as progress:
        return await pipeline(progress.advance, longest).execute(
            NodeContext({"documents": [{"document": document} for document in documents]}),
            WorkflowContext(),
        )


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    path = options.path
    # What was installed into the folder of the standard library is no part of it.
    leave_out = ("site-packages", "dist-packages") if path == STANDARD_LIBRARY else ()
    documents = find(path, leave_out)
    started = time.perf_counter()
    with warnings.catch_warnings():
        for about_the_code in (SyntaxWarning, DeprecationWarning):
            warnings.simplefilter("ignore", about_the_code)
        result = asyncio.run(read_documents(path, documents, options.rows))
    root = os.path.dirname(path) if os.path.isfile(path) else path
    print_lines(report(documents, root, result, options.rows))
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
        type=positive,
        default=10,
        help="how many of the longest and of the failed documents to list (default: 10)",
    )
    demo.set_defaults(run=run)
