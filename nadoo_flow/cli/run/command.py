"""``run`` on the command line."""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import sys

from ...batch.processor import BatchProcessor
from ...checkpoint import CheckpointError
from ..console import CommandError, Commands, positive, positive_number, printable
from .find_node import find_node, prepared
from .output import LineCodec, Output
from .records import FORMATS, FileRecords, PipeRecords, RecordsError, format_of, records
from .tally import Tally


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
