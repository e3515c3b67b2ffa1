"""``python -m nadoo_flow``: the command line."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from .cli import demo
from .cli import run as run_command
from .cli.console import CommandError, escape_unprintable

PROGRAM = "python -m nadoo_flow"
SCRIPT = "nadoo-flow"
COMMANDS = (demo, run_command)
"""Modules that each add one command: a function ``add_command(commands)``."""


def get_program_name() -> str:
    """Return the name under which the command line was called."""
    return SCRIPT if os.path.basename(sys.argv[0]) == SCRIPT else PROGRAM


def build_parser() -> argparse.ArgumentParser:
    """Make the parser; each command names the function that runs it as ``run``."""
    root = argparse.ArgumentParser(
        prog=get_program_name(),
        description="Run async nodes over many inputs: bounded, fast and observable.",
    )
    root.set_defaults(run=None, refuse=root.error)
    commands = root.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        command.add_command(commands)
    for parser in commands.choices.values():
        parser.set_defaults(refuse=parser.error)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status; 2 for a usage error, 130 after Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file name may hold characters that the terminal's encoding lacks.
            stream.reconfigure(errors="backslashreplace")
    try:
        return dispatch(arguments)
    except CommandError as error:
        print(f"{get_program_name()}: {escape_unprintable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of the output has gone, as `head` does; the flush at exit must be silent too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def dispatch(arguments: Sequence[str] | None) -> int:
    """Run the command that the arguments name, or print the help if they name none."""
    arguments = sys.argv[1:] if arguments is None else arguments
    root = build_parser()
    try:
        options, unknown = root.parse_known_args(arguments)
        if unknown:  # argparse leaves the refusal, and the usage that it shows, to the root
            options.refuse(f"unrecognized arguments: {' '.join(unknown)}")
        if options.run is None:
            root.print_help()
            return 0
        options.command = [*get_program_name().split(), *arguments]
        return options.run(options) or 0
    finally:
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
