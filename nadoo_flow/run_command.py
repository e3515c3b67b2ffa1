"""``nadoo-flow run``: a node over a file of inputs, results as JSON Lines."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import io
import json
import os
import shlex
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, TextIO

from .batch import BatchProcessor
from .batch_result import BatchResult
from .checkpoint import CheckpointError
from .cli import CommandError, Commands, positive, positive_number, printable
from .errors import describe
from .node import BaseNode, as_node
from .policies import rate_limit, retry, timeout
from .records import FORMATS, FileRecords, PipeRecords, RecordsError, format_of, records

SHOWN_ERRORS = 5


class LineCodec:
    """Records outputs as the lines show them: a tuple is a list there too."""

    def encode(self, value: Any) -> bytes:
        """Turn an output into JSON."""
        return to_json(value).encode(errors="backslashreplace")

    def decode(self, data: bytes) -> Any:
        """Read JSON."""
        return json.loads(data)


to_json = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode


@dataclass
class Tally:
    """What has become of the inputs so far."""

    succeeded: int = 0
    resumed: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    started: float = field(default_factory=time.monotonic)

    def count(self, result: BatchResult) -> None:
        """Count one result."""
        if result.success:
            self.succeeded += 1
            self.resumed += "resumed" in result.metadata
        else:
            self.errors[(result.error or "")[:100]] += 1

    @property
    def results(self) -> int:
        """How many results there were."""
        return self.succeeded + self.failed

    @property
    def failed(self) -> int:
        """How many of them are failures."""
        return self.errors.total()

    def lines(self) -> list[str]:
        """Put the outcome into lines."""
        resumed = f" ({self.resumed:,} of them from the checkpoint)" if self.resumed else ""
        seconds = time.monotonic() - self.started
        lines = [
            f"{self.results:,} results: {self.succeeded:,} succeeded{resumed}, "
            f"{self.failed:,} failed, in {seconds:.1f} s"
        ]
        lines += [f"{n:8,} x {error}" for error, n in self.errors.most_common(SHOWN_ERRORS)]
        if len(self.errors) > SHOWN_ERRORS:
            lines.append(f"         and {len(self.errors) - SHOWN_ERRORS:,} other errors")
        return lines


class Output:
    """Writes results as JSON Lines.

    A file is made when the first result is there: a run that cannot begin overwrites nothing.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._closing = ExitStack()

    def write(self, result: BatchResult) -> BatchResult:
        """Write one line at once, and return the result, failed if its output is no JSON."""
        output = "null"
        try:
            output = to_json(result.output)
        except Exception as error:
            if result.success:
                result.success = False
                result.error = f"the output is not JSON: {describe(error)}"
        try:
            metadata = to_json(result.metadata)
        except Exception:
            metadata = "{}"
        head = {
            "index": result.index,
            "input_data": result.input_data,
            "success": result.success,
            "error": result.error,
            "execution_time": result.execution_time,
        }
        line = f'{to_json(head)[:-1]}, "output": {output}, "metadata": {metadata}}}\n'
        self.opened().write(line)
        return result

    def opened(self) -> TextIO:
        """Return the file, made if it is not there yet."""
        if self._file is None:
            self._file = self._open()
        return self._file

    def close(self) -> None:
        """Close the file, if it is one."""
        self._closing.close()

    def _open(self) -> TextIO:
        if self._path is None:
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(encoding="utf-8", line_buffering=True)
            return sys.stdout
        try:
            # What UTF-8 cannot hold, half of a surrogate pair, is escaped as JSON escapes it.
            return self._closing.enter_context(
                open(self._path, "w", encoding="utf-8", errors="backslashreplace", buffering=1)
            )
        except OSError as error:
            raise CommandError(f"cannot write {self._path}: {error.strerror}") from error


def find_node(name: str) -> BaseNode:
    """Find the node that ``MODULE:NODE`` names: a node, a node class, or a function.

    Raises:
        CommandError: If there is none.
    """
    module_name, colon, attributes = name.partition(":")
    if not (module_name and colon and attributes):
        raise CommandError(f"name a node as MODULE:NODE, not {name!r}")
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise CommandError(f"cannot import {module_name}: {describe(error)}") from error
    for attribute in attributes.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError as error:
            raise CommandError(f"{module_name} has no {attributes}") from error
    try:
        if inspect.isclass(found) and issubclass(found, BaseNode):
            found = found()
        return as_node(found, name)
    except Exception as error:
        raise CommandError(f"{name} makes no node: {describe(error)}") from error


def prepared(node: BaseNode, options: argparse.Namespace) -> BaseNode:
    """Wrap a node in the policies that the options ask for, in the recommended order."""
    policies = []
    if options.timeout is not None:
        policies.append(timeout(options.timeout))
    if options.rate is not None:
        policies.append(rate_limit(options.rate))
    if options.retries:
        policies.append(retry(attempts=options.retries + 1))
    return node.pipe(*policies)


async def process(
    processor: BatchProcessor, inputs: FileRecords | PipeRecords, output: Output, tally: Tally
) -> None:
    """Run the batch, and write each result when it is there."""
    async with processor.batch_as_completed(inputs) as results:
        async for result in results:
            tally.count(output.write(result))
    output.opened()


def run(options: argparse.Namespace) -> int:
    """Run the command; return 1 if an input failed, 130 after Ctrl-C, else 0."""
    same_file(options.input, options.output)
    node = prepared(find_node(options.node), options)
    output, tally = Output(options.output), Tally()
    try:
        read = FORMATS[options.format or format_of(options.input)]
        inputs = records(options.input, read, options.limit)
        processor = BatchProcessor(
            node,
            options.concurrency,
            progress="always" if options.progress else sys.stderr.isatty(),
            checkpoint=options.checkpoint,
            codec=LineCodec(),
        )
        asyncio.run(process(processor, inputs, output, tally))
    except RecordsError as error:
        tell(tally.lines() if tally.results else [])
        raise CommandError(f"the input {options.input}: {error}") from error
    except CheckpointError as error:
        tell(tally.lines() if tally.results else [])
        raise CommandError(str(error)) from error
    except KeyboardInterrupt:
        tell(["interrupted", *tally.lines(), *how_to_resume(options)])
        return 130
    finally:
        output.close()
    tell(tally.lines())
    return 1 if tally.failed else 0


def how_to_resume(options: argparse.Namespace) -> list[str]:
    """Say how an interrupted run goes on."""
    command = shlex.join(options.command)
    if options.checkpoint is None:
        return ["nothing was kept to go on from; with --checkpoint FILE it would have been"]
    same = ", with the same input" if options.input == "-" else ""
    return [f"to go on{same}: {command}"]


def tell(lines: list[str]) -> None:
    """Print lines for people, which is not where results go."""
    for line in lines:
        print(printable(line), file=sys.stderr)


def same_file(source: str, target: str | None) -> None:
    """Refuse to write over the inputs.

    Raises:
        CommandError: If both are one file.
    """
    there = target is not None and os.path.exists(target) and os.path.exists(source)
    if target is not None and there and os.path.samefile(source, target):
        raise CommandError(f"the output {target} is the input")


def add_command(commands: Commands) -> None:
    """Add ``run`` to the command line."""
    command = commands.add_parser(
        "run",
        help="run a node over a file of inputs",
        description="Run a node over each line of a file, and write the results as JSON Lines, "
        "each when it is there.",
        epilog="Exit status: 0 if all inputs succeeded, 1 if some failed, 2 for bad usage or a "
        "file that cannot be used, 130 after Ctrl-C.",
    )
    add = command.add_argument
    add(
        "node",
        metavar="MODULE:NODE",
        help="a node, a node class, a function or a pipeline, in a module that can be imported "
        "from here",
    )
    add(
        "input",
        metavar="INPUT",
        nargs="?",
        default="-",
        help="a file: .jsonl holds a JSON value in each line, .csv a header and rows, any other "
        "text lines; blank lines are left out; - or nothing is the standard input, as text",
    )
    add(
        "-o", "--output", metavar="OUTPUT", help="a file to write to instead of the standard output"
    )
    add("--format", choices=sorted(FORMATS), help="what INPUT holds, whatever its ending")
    add("--concurrency", metavar="N", type=positive, default=10, help="most inputs at a time (10)")
    add("--rate", metavar="R", type=positive_number, help="most starts in a second")
    add("--retries", metavar="N", type=positive, help="how often to try a failed input again")
    add("--timeout", metavar="S", type=positive_number, help="most seconds for one try")
    add(
        "--checkpoint",
        metavar="FILE",
        help="record each success here; the next run with the same file and input goes on from it "
        "and writes all of OUTPUT anew",
    )
    add("--limit", metavar="N", type=positive, help="take only the first N inputs")
    add("--progress", action="store_true", help="show progress also where there is no terminal")
    command.set_defaults(run=run)
