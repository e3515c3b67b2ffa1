"""The command ``run``."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import signal
import sys
from contextlib import ExitStack, nullcontext

from ...batch.processor import BatchProcessor
from ...checkpoint import CheckpointError
from ...dead_letters import DeadLetterError
from ...events import ProgressArgument
from ..console import CommandError, Commands, escape_unprintable
from .find_node import apply_policies, find_node
from .inputs import FileInputs, PipeInputs, open_inputs
from .interrupts import NAMES, Interrupts
from .live_page import serve_page
from .open_files import check_files_differ, choose_output, choose_reading, leave_files_alone
from .options import add_options
from .output import LineCodec, Output
from .readers import InputsError
from .report import Report, make_report
from .tally import Tally
from .workers import choose_concurrency, make_workers_policy


async def process(
    processor: BatchProcessor,
    inputs: FileInputs | PipeInputs,
    output: Output,
    tally: Tally,
    report: Report | None,
    options: argparse.Namespace,
) -> int | None:
    """Run the batch, and write each result as soon as it comes.

    Returns:
        The signal that ended it early, if one did; a run that was ended on its page counts as
        interrupted.
    """
    results = processor.batch_as_completed(inputs)
    interrupts = Interrupts(results.drain, lambda: results.in_work)
    try:
        with interrupts:
            async with serve_page(options, processor), results:
                async for result in results:
                    result.index = inputs.reading.pop_index(result.index)
                    written = output.write(result)
                    tally.count(written)
                    if report is not None:
                        report.add(written)
    except asyncio.CancelledError:
        if interrupts.first is None:
            raise
    output.complete()
    tally.stopped, tally.not_started = results.stopped, results.not_started
    if results.drained and results.stopped is None and interrupts.first is None:
        return signal.SIGINT
    return interrupts.first


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status.

    That is 1 if an input failed or a limit ended the run, 128 and the signal that ended it, else 0.
    """
    if options.checkpoint_each and options.checkpoint is None:
        raise CommandError("--checkpoint-each says what --checkpoint FILE records; name a file too")
    if options.dry_run is not None:
        leave_files_alone(options)
    check_files_differ(options)
    report = make_report(options)
    with nullcontext() if report is None else report:
        return _run(options, report)


def _choose_progress(options: argparse.Namespace) -> ProgressArgument:
    """Return whether to show bars: on a terminal, unless the results are written to one too."""
    if options.progress:
        return "always"
    return sys.stderr.isatty() and (options.output is not None or not sys.stdout.isatty())


def _run(options: argparse.Namespace, report: Report | None) -> int:
    tally = Tally()
    try:
        with ExitStack() as closing:
            found = find_node(options.node)
            node = apply_policies(found, options, make_workers_policy(options, closing))
            output = choose_output(options, closing)
            inputs = open_inputs(options.input, choose_reading(options))
            processor = BatchProcessor(
                node,
                choose_concurrency(options),
                progress=_choose_progress(options),
                checkpoint=options.checkpoint,
                checkpoint_each=options.checkpoint_each and options.checkpoint is not None,
                codec=LineCodec(),
                trace=False if report is None else report.trace,
                deadline=options.deadline,
                max_failures=options.max_failures,
                max_usage=options.max_usage,
            )
            if report is not None:
                report.begin(found)
            ended_by = asyncio.run(process(processor, inputs, output, tally, report, options))
    except InputsError as error:
        print_to_stderr(tally.format_lines() if tally.results else [])
        raise CommandError(f"the input {options.input}: {error}") from error
    except (CheckpointError, DeadLetterError) as error:
        print_to_stderr(tally.format_lines() if tally.results else [])
        raise CommandError(str(error)) from error
    except KeyboardInterrupt:
        ended_by = signal.SIGINT
    if ended_by is not None:
        if report is not None:
            report.ended_by = ended_by
        end = NAMES[signal.Signals(ended_by)]
        print_to_stderr([end, *tally.format_lines(), *describe_resuming(options)])
        return 128 + ended_by
    stopped = tally.stopped is not None
    print_to_stderr([*tally.format_lines(), *(describe_resuming(options) if stopped else [])])
    return 1 if tally.failed or stopped else 0


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


def add_command(commands: Commands) -> None:
    """Add ``run`` to the command line."""
    command = commands.add_parser(
        "run",
        help="run a node over a file of inputs",
        usage="%(prog)s [options] MODULE:NODE [INPUT]",
        description="Run a node over each line of a file, and write the results as JSON Lines, "
        "each as soon as it comes.",
        epilog="Names may end in .gz. Exit status: 0 if all inputs succeeded, 1 if not, 2 for bad "
        "usage or a file that cannot be used, 130 after Ctrl-C, 143 after SIGTERM. Both finish "
        "what is in work; Ctrl-C again cancels it.",
    )
    add_options(command)
    command.set_defaults(run=run)
