"""Measure the engine beside its peers.

    python -m tests.benchmarks [NAME ...] [--json FILE] [--rounds N] [--n N] [--quick] [--cpu]
                               [--uvloop] [--list]

NAME is a case, or the beginning of the names of several. ``targets`` measures what the targets of
the project need, and says of each whether it is met; names after it choose the targets that need no
other cases than these. Without a name every case is run, which takes an hour or two; ``--quick``
takes the smallest size of each.

``pip install -e '.[bench]'`` installs the peers; one that shares our import name gets a virtual
environment of its own in ``--cache`` when it is first needed. A peer that is missing is listed as
not installed.

How it measures: every contestant of a case does the same work, and its answer is checked. Each is
run in a fresh process (``_worker.py``), where it imports, makes its inputs and warms up before the
clock starts; a run shorter than a quarter of a second is repeated there. The contestants take
turns (A B C, A B C, ...), so a change of the machine's pace hits all of them. The tables show the
median of the rounds, the lowest and the highest (and how many rounds there were), the ratio of the
medians, and the peak of memory above what the process had before the run. On a busy machine
``--cpu`` counts the processor's time instead, in the cases that never wait. ``--uvloop`` runs the
same on the event loop of uvloop. The process exits with 1 if a contestant failed or came to a wrong
answer; a missed target is no failure.

A case is a module in ``cases/`` with a tuple ``CASES``; a new file there is found by itself. It
imports nothing but the standard library at the top, since the peers live in different
environments. What runs a node or a function over many inputs is in ``ways.py`` and, for the peers,
in ``peer_ways.py``; the nodes and functions are in ``nodes.py``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path

from . import figures, runner, targets
from .cases import all_cases
from .model import Case
from .peers import UVLOOP, default_cache, versions
from .report import case_data, case_text


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for and return the exit code."""
    options = _parser().parse_args(arguments)
    cases = all_cases()
    if options.list:
        print("\n".join(f"{case.name:<20} {case.title} ({case.unit})" for case in cases.values()))
        print(f"{targets.NAME:<20} What the targets need, and whether they are met")
        return 0
    if options.uvloop and importlib.util.find_spec(UVLOOP.module) is None:
        raise SystemExit("--uvloop needs uvloop: pip install 'nadoo-flow[bench]'")
    wanted: list[figures.Target] = []
    if options.names[:1] == [targets.NAME]:
        among = [case.name for case in named(cases, options.names[1:])]
        wanted = figures.select(targets.TARGETS, among)
        chosen = figures.cases(cases, wanted)
    else:
        chosen = [_sized(case, options) for case in named(cases, options.names)]
    settings = runner.Settings(
        options.rounds, options.budget, options.cache, options.cpu, options.uvloop, _progress
    )
    return _run(chosen, settings, wanted, options.json)


def _run(
    cases: list[Case],
    settings: runner.Settings,
    wanted: list[figures.Target],
    file: Path | None,
) -> int:
    peers = {one.peer for case in cases for one in case.contestants if one.peer is not None}
    if settings.uvloop:
        peers.add(UVLOOP)
    about = {**runner.environment(), **versions(peers, settings.cache)}
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    data, rows = [], {}
    for case in cases:
        rows[case.name] = runner.run(case, settings)
        data.append(case_data(case, rows[case.name]))
        print(f"\n{case_text(case, rows[case.name])}", flush=True)
        if file is not None:
            file.write_text(json.dumps({"about": about, "cases": data}, indent=1) + "\n")
    if wanted:
        print(f"\n{figures.text(rows, wanted)}")
    return int(any(row.wrong for case_rows in rows.values() for row in case_rows))


def _progress(text: str) -> None:
    print(text, file=sys.stderr)


def named(cases: dict[str, Case], names: list[str]) -> list[Case]:
    """Return the cases of these names, or all."""
    chosen: dict[str, Case] = {}
    for given in names or cases:
        found = [given] if given in cases else [name for name in cases if name.startswith(given)]
        if not found:
            raise SystemExit(f"no case is called {given!r}; --list shows them all")
        chosen.update((name, cases[name]) for name in found)
    return list(chosen.values())


def _sized(case: Case, options: argparse.Namespace) -> Case:
    if options.n is not None:
        return runner.at_size(case, options.n)
    return runner.quick(case) if options.quick else case


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=(__doc__ or "").partition("\n")[0],
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="cases, or targets and cases")
    parser.add_argument("--list", action="store_true", help="list the cases and exit")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--rounds", type=_positive, default=5, help="rounds of each (default 5)")
    parser.add_argument("--n", type=_positive, help="one number of items instead of a case's own")
    parser.add_argument("--quick", action="store_true", help="only the smallest size of each case")
    parser.add_argument(
        "--cpu", action="store_true", help="count processor time where it is never idle"
    )
    parser.add_argument("--uvloop", action="store_true", help="run on the event loop of uvloop")
    parser.add_argument(
        "--budget",
        type=float,
        default=60,
        metavar="SECONDS",
        help="most that one contestant may take in one variant (default 60)",
    )
    parser.add_argument(
        "--cache", type=Path, default=default_cache(), help="where environments of peers are kept"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
