"""The demo: read every document below a folder, several at a time, and report on them.

``python -m nadoo_flow demo [PATH]`` runs this. It uses only what ``nadoo_flow`` exports, so it can
be read as an example: a pipeline over real inputs, some of which are broken.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import os
import re
import sys
import sysconfig
import textwrap
import time
import tokenize
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from nadoo_flow import (
    BaseNode,
    FilterNode,
    MapNode,
    NodeContext,
    NodeResult,
    ReduceNode,
    WorkflowContext,
)

from .cli import CommandError, Commands, Progress, positive, print_lines, printable, table

STANDARD_LIBRARY = sysconfig.get_path("stdlib")
SUFFIXES = (".py", ".md", ".rst", ".txt")
BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")


class DocumentProcessor(BaseNode):
    """Read one document and say what is in it.

    Args:
        node_id: The name in errors.
        on_done: Called after each document, also one that could not be read.
    """

    def __init__(self, node_id: str, on_done: Callable[[], None]) -> None:
        super().__init__(node_id)
        self.on_done = on_done

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Work in a thread: reading and parsing must not hold up the event loop."""
        document = node_context.input_data["document"]
        try:
            return NodeResult(success=True, output=await asyncio.to_thread(digest, document))
        finally:
            self.on_done()


def digest(document: str) -> dict[str, Any]:
    """Extract a summary, the entities and the word count of a document."""
    if document.lower().endswith(".py"):
        with tokenize.open(document) as file:  # in the encoding that the file declares
            text = file.read()
        module = ast.parse(text, document)
        summary, entities = first_sentence(ast.get_docstring(module) or ""), list(names(module))
    else:
        with open(document, encoding="utf-8-sig") as file:
            text = file.read()
        entities = list(headings(text, markdown=document.lower().endswith(".md")))
        summary = entities[0] if entities else first_sentence(text)
    return {
        "document": document,
        "summary": textwrap.shorten(summary, 100, placeholder="..."),
        "entities": entities,
        "word_count": len(text.split()),
    }


def first_sentence(text: str) -> str:
    """Return the first sentence of the first paragraph."""
    paragraph = re.split(r"\n\s*\n", text.strip(), maxsplit=1)[0]
    return re.split(r"(?<=[.!?])\s", " ".join(paragraph.split()), maxsplit=1)[0]


def names(module: ast.Module) -> Iterator[str]:
    """Name the classes and functions of a module, also those inside others."""
    waiting: list[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        inner = [statement for block in BLOCKS for statement in getattr(node, block, ())]
        waiting.extend(reversed(inner))


def headings(text: str, *, markdown: bool) -> Iterator[str]:
    """Find the headings of a prose text: the underlined ones, and Markdown's ``# ...``."""
    previous, in_code = "", False
    for line in map(str.strip, text.splitlines()):
        if markdown and line.startswith(("```", "~~~")):
            in_code = not in_code
        elif markdown and not in_code and re.match(r"#{1,6}\s", line):
            yield line.strip("# \t")
        elif not in_code and is_underline(line) and any(map(str.isalnum, previous)):
            yield previous
        previous = line


def is_underline(line: str) -> bool:
    """Tell whether a line is one of the characters of an underline, and nothing but it."""
    return len(line) >= 3 and line[0] in "=-~^*" and not line.strip(line[0])


def pipeline(on_done: Callable[[], None], longest: int) -> BaseNode:
    """Make the pipeline: from ``{"documents": [...]}`` to ``{"totals": {...}}``.

    Args:
        on_done: Called after each document.
        longest: How many of the longest documents to keep.
    """

    def add_up(totals: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
        by_length = sorted([*totals["longest"], document], key=lambda doc: -doc["word_count"])
        return {
            "documents": totals["documents"] + 1,
            "words": totals["words"] + document["word_count"],
            "entities": totals["entities"] + len(document["entities"]),
            "longest": by_length[:longest],
        }

    read = MapNode(
        node_id="read",
        child_node=DocumentProcessor("document", on_done),
        input_key="documents",
        output_key="read",
        max_concurrency=5,
        continue_on_error=True,
    )
    not_empty = FilterNode(
        node_id="not_empty",
        filter_fn=lambda document: document["word_count"] > 0,
        input_key="read",
        output_key="not_empty",
    )
    total = ReduceNode(
        node_id="total",
        reduce_fn=add_up,
        initial_value={"documents": 0, "words": 0, "entities": 0, "longest": []},
        input_key="not_empty",
        output_key="totals",
    )
    return read | not_empty | total


def find(path: str, leave_out: Iterable[str] = ()) -> list[str]:
    """List the documents below a folder, or the one that the path itself is.

    Raises:
        CommandError: If there is none, or the path cannot be read.
    """
    if not os.path.exists(path):
        raise CommandError(f"no such file or folder: {path}")
    if not os.access(path, os.R_OK):
        raise CommandError(f"not allowed to read {path}")
    files = [path] if os.path.isfile(path) else files_below(path, leave_out)
    documents = [file for file in files if file.lower().endswith(SUFFIXES) and os.path.isfile(file)]
    if not documents:
        raise CommandError(f"no {', '.join(SUFFIXES)} documents in {path}")
    return documents


def files_below(path: str, leave_out: Iterable[str]) -> Iterator[str]:
    """List all files below a folder in order, and tell of the folders that cannot be listed."""
    for folder, folders, files in os.walk(path, onerror=tell_left_out):
        folders[:] = sorted(set(folders).difference(leave_out))
        for file in sorted(files):
            yield os.path.join(folder, file)


def tell_left_out(error: OSError) -> None:
    """Tell of a folder that cannot be listed."""
    print(printable(f"left out {error.filename}: {error.strerror}"), file=sys.stderr)


async def read_documents(path: str, documents: list[str], longest: int) -> NodeResult:
    """Run the pipeline and show its progress."""
    print(f"documents in {printable(path)}: {len(documents):,}", file=sys.stderr, flush=True)
    with Progress(len(documents), "documents", sys.stderr) as progress:
        return await pipeline(progress.advance, longest).execute(
            NodeContext({"documents": [{"document": document} for document in documents]}),
            WorkflowContext(),
        )


def report(documents: list[str], root: str, result: NodeResult, rows: int) -> list[str]:
    """Put the outcome of the pipeline into lines."""
    totals, errors = result.output["totals"], result.metadata["errors"]
    numbers = {
        "documents": len(documents),
        "read": totals["documents"],
        "empty": len(documents) - len(errors) - totals["documents"],
        "failed": len(errors),
        "words": totals["words"],
        "entities": totals["entities"],
    }
    longest = [
        (
            os.path.relpath(document["document"], root),
            f"{document['word_count']:,}",
            f"{len(document['entities']):,}",
            document["summary"],
        )
        for document in totals["longest"]
    ]
    failed = [
        (
            os.path.relpath(documents[error["index"]], root),
            error["error"].replace(os.path.join(root, ""), ""),
        )
        for error in errors
    ]
    lines = table([(name, f"{number:,}") for name, number in numbers.items()], right=(1,))
    if longest:
        head = ("longest documents", "words", "entities", "summary")
        lines += ["", *table([head, *longest], right=(1, 2))]
    if failed:
        kinds = Counter(error.split(":")[0] for _, error in failed).most_common()
        summary = ", ".join(f"{number:,} {kind}" for kind, number in kinds)
        lines += ["", *table([("failed documents", summary), *failed[:rows]])]
    if len(failed) > rows:
        lines += [f"and {len(failed) - rows:,} more; --rows {len(failed)} lists them all"]
    return lines


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
