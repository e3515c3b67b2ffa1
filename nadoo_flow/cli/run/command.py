"""The command ``run``."""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import sys

from ...batch.processor import BatchProcessor
from ...checkpoint import CheckpointError
from ..console import (
    CommandError,
    Commands,
    escape_unprintable,
    parse_positive_int,
    parse_positive_number,
)
from .find_node import apply_policies, find_node
from .inputs import FORMATS, FileInputs, InputsError, PipeInputs, guess_format, open_inputs
from .output import LineCodec, Output
from .tally import Tally


async def process(
    processor: BatchProcessor, inputs: FileInputs | PipeInputs, output: Output, tally: Tally
) -> None:
    """Run the batch, and write each result as soon as it comes."""
    async with processor.batch_as_completed(inputs) as results:
        async for result in results:
            tally.count(output.write(result))
    output.open()


def run(options: argparse.Namespace) -> int:
    """Run the command; return 1 if an input failed, 130 after Ctrl-C, else 0."""
    check_files_differ(options.input, options.output)
    node = apply_policies(find_node(options.node), options)
    output, tally = Output(options.output), Tally()
    try:
        read = FORMATS[options.format or guess_format(options.input)]
        inputs = open_inputs(options.input, read, options.limit)
        processor = BatchProcessor(
            node,
            options.concurrency,
            progress="always" if options.progress else sys.stderr.isatty(),
            checkpoint=options.checkpoint,
            codec=LineCodec(),
        )
        asyncio.run(process(processor, inputs, output, tally))
    except InputsError as error:
        print_to_stderr(tally.format_lines() if tally.results else [])
        raise CommandError(f"the input {options.input}: {error}") from error
    except CheckpointError as error:
        print_to_stderr(tally.format_lines() if tally.results else [])
        raise CommandError(str(error)) from error
    except KeyboardInterrupt:
        print_to_stderr(["interrupted", *tally.format_lines(), *describe_resuming(options)])
        return 130
    finally:
        output.close()
    print_to_stderr(tally.format_lines())
    return 1 if tally.failed else 0


def describe_resuming(options: argparse.Namespace) -> list[str]:
    """Return the lines that say how to resume an interrupted run."""
    command = shlex.join(options.command)
    if options.checkpoint is None:
        return ["results are not kept for a later run; use --checkpoint FILE to keep them"]
    same = ", with the same input" if options.input == "-" else ""
    return [f"to resume{same}: {command}"]


def print_to_stderr(lines: list[str]) -> None:
    """Print lines for people to stderr, since results may go to stdout."""
    for line in lines:
        print(escape_unprintable(line), file=sys.stderr)


def check_files_differ(source: str, target: str | None) -> None:
    """Refuse to overwrite the inputs.

    Raises:
        CommandError: If source and target are the same file.
    """
    if target is None or not (os.path.exists(target) and os.path.exists(source)):
        return
    if os.path.samefile(source, target):
        raise CommandError(f"the output {target} is the input")


def add_command(commands: Commands) -> None:
    """Add ``run`` to the command line."""
    command = commands.add_parser(
        "run",
        help="run a node over a file of inputs",
        description="Run a node over each line of a file, and write the results as JSON Lines, "
        "each as soon as it comes.",
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
    add(
        "--concurrency",
        metavar="N",
        type=parse_positive_int,
        default=10,
        help="most inputs at a time (10)",
    )
    add("--rate", metavar="R", type=parse_positive_number, help="most starts in a second")
    add(
        "--retries",
        metavar="N",
        type=parse_positive_int,
        help="how often to try a failed input again",
    )
    add("--timeout", metavar="S", type=parse_positive_number, help="most seconds for one try")
    add(
        "--checkpoint",
        metavar="FILE",
        help="record each success here; the next run with the same file and input resumes from it "
        "and writes all of OUTPUT anew",
    )
    add("--limit", metavar="N", type=parse_positive_int, help="take only the first N inputs")
    add("--progress", action="store_true", help="show progress also where there is no terminal")
    command.set_defaults(run=run)
