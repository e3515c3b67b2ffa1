"""The files that the options name: what is read from them, and what is written to them."""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack
from itertools import combinations

from ..console import CommandError
from .failed import FailedFile
from .files import get_ending
from .inputs import Reading
from .output import LineOutput, Output, TakeFailed
from .readers import FORMATS, find_reader

NAMES = {
    "input": "input",
    "output": "output",
    "failed": "file of dead letters",
    "report": "report",
}


def choose_reading(options: argparse.Namespace) -> Reading:
    """Return how to read the inputs."""
    stops = options.bad_lines == "stop"
    ending = get_ending(options.input)
    if options.format == "parquet" or (options.format is None and ending == ".parquet"):
        from .parquet import ParquetReading

        return ParquetReading(options.limit)
    read = FORMATS[options.format] if options.format else find_reader(options.input)
    return Reading(read, options.limit, stops=stops)


def choose_output(options: argparse.Namespace, closing: ExitStack) -> Output:
    """Return where results go; it is closed with the failures."""
    failed = None if options.failed is None else FailedFile(options.failed)
    if failed is not None:
        closing.callback(failed.close)
    output = _make_output(options.output, _ignore if failed is None else failed.take)
    closing.callback(output.close)
    return output


def _make_output(path: str | None, take: TakeFailed) -> Output:
    ending = None if path is None else get_ending(path)
    if path is not None and ending == ".csv":
        from .csv_output import CsvOutput

        return CsvOutput(path, take)
    if path is not None and ending == ".parquet":
        from .parquet import ParquetOutput

        return ParquetOutput(path, take)
    return LineOutput(path, take)


def leave_files_alone(options: argparse.Namespace) -> None:
    """Change the options so that nothing is written, and only the first inputs are taken."""
    options.limit = min(options.dry_run, options.limit or options.dry_run)
    options.output = options.failed = options.report = None
    options.checkpoint = options.cache = None


def check_files_differ(options: argparse.Namespace) -> None:
    """Refuse to overwrite a file with another.

    Raises:
        CommandError: If two of them are the same.
    """
    named = [(NAMES[name], getattr(options, name)) for name in NAMES]
    for (first, source), (second, target) in combinations(named, 2):
        if source is not None and target is not None and _is_same(source, target):
            raise CommandError(f"the {second} {target} is the {first}; name another file")


def _is_same(source: str, target: str) -> bool:
    if source == "-":
        return False
    if os.path.exists(source) and os.path.exists(target):
        return os.path.samefile(source, target)
    return os.path.abspath(source) == os.path.abspath(target)


def _ignore(result: object) -> None:
    """Stand for a file of dead letters where there is none."""
