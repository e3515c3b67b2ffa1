"""``python -m nadoo_flow``: the command line."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from .cli import demo
from .cli import run as run_command
from .cli.console import CommandError, printable

PROGRAM = "python -m nadoo_flow"
SCRIPT = "nadoo-flow"
COMMANDS = (demo, run_command)
"""Modules that each add one command: a function ``add_command(commands)``."""


def program() -> str:
    """Say how the command line was called."""
    return SCRIPT if os.path.basename(sys.argv[0]) == SCRIPT else PROGRAM


def parser() -> argparse.ArgumentParser:
    """Make the parser; each command names the function that runs it as ``run``."""
    root = argparse.ArgumentParser(
        prog=program(),
        description="Run async nodes over many inputs: bounded, fast and observable.",
    )
    root.set_defaults(run=None)
    commands = root.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        command.add_command(commands)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status; 2 for a usage error, 130 after Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file name may hold what the terminal's encoding lacks.
            stream.reconfigure(errors="backslashreplace")
    try:
        return dispatch(arguments)
    except CommandError as error:
        print(f"{program()}: {printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output has gone, as `head` does; let the flush at exit be silent too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def dispatch(arguments: Sequence[str] | None) -> int:
    """Run the command that the arguments name, or print the help if they name none."""
    arguments = sys.argv[1:] if arguments is None else arguments
    root = parser()
    try:
        options = root.parse_args(arguments)
        if options.run is None:
            root.print_help()
            return 0
        options.command = [*program().split(), *arguments]
        return options.run(options) or 0
    finally:
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
