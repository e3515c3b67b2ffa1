"""The arguments of the command ``run``."""

from __future__ import annotations

import argparse

from ..console import parse_positive_int, parse_positive_number
from .amounts import parse_amounts, parse_budget, parse_failures
from .live_page import add_dashboard_option
from .readers import FORMATS


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the arguments; their help is to fit a screen."""
    add = command.add_argument
    formats = sorted([*FORMATS, "parquet"])
    number, seconds = parse_positive_int, parse_positive_number
    add(
        "node",
        metavar="MODULE:NODE",
        help="a node, node class, function or pipeline of a module",
    )
    add(
        "input",
        metavar="INPUT",
        nargs="?",
        default="-",
        help="a .jsonl, .csv (with a header), .parquet or --failed file; any other, and the "
        "standard input (-), is text",
    )
    add("-o", "--output", metavar="FILE", help="where results go: .jsonl, .csv, .parquet (stdout)")
    add("--failed", metavar="FILE", help="keep what fails, for a later run with it as INPUT")
    add(
        "--format",
        choices=formats,
        metavar="F",
        help=f"what INPUT holds: {', '.join(formats)}",
    )
    add(
        "--bad-lines",
        choices=("fail", "stop"),
        default="fail",
        metavar="B",
        help="a bad line fails alone (fail) or ends the run (stop)",
    )
    add("--limit", metavar="N", type=number, help="take only the first N inputs")
    add("--dry-run", metavar="N", type=number, help="show the results of N inputs, write nothing")
    add("--concurrency", metavar="N", type=number, help="most inputs at a time (10)")
    add("--rate", metavar="R", type=seconds, help="most starts in a second")
    add(
        "--budget",
        metavar="NAME=N/S",
        type=parse_budget,
        help="most in any S seconds: requests=500,tokens=90000/60",
    )
    add("--retries", metavar="N", type=number, help="how often to try a failed input again")
    add("--timeout", metavar="S", type=seconds, help="most seconds for one try")
    add("--deadline", metavar="S", type=seconds, help="start nothing more after S seconds")
    add(
        "--max-failures",
        metavar="N",
        type=parse_failures,
        help="end with N failures, or with a part of them (0.1)",
    )
    add(
        "--max-usage",
        metavar="NAME=N",
        type=parse_amounts,
        help="end when so much has been used: usd=5,tokens=1e6",
    )
    add("--processes", metavar="N", type=number, help="execute the node in N processes")
    add("--dask", metavar="ADDRESS", help="execute the node on the Dask cluster there")
    add("--cache", metavar="FILE", help="keep outputs by their inputs; equal inputs run once")
    add(
        "--checkpoint",
        metavar="FILE",
        help="record successes; the same command then goes on",
    )
    add(
        "--checkpoint-each",
        action="store_true",
        help="record each node of a pipeline, not whole inputs",
    )
    add("--report", metavar="FILE", help="write a page of HTML about the run, however it ends")
    add("--progress", action="store_true", help="show progress also where there is no terminal")
    add_dashboard_option(command)
