"""Run random cases: ``python -m tests.fuzz [--minutes M | --seeds N | --seed S | --planted]``."""

from __future__ import annotations

import argparse
import gc
import re
import sys
import time
from collections import Counter
from itertools import count

from .case import describe_case
from .draw import draw_case
from .planted import PLANTED, find_planted
from .run import findings_of
from .shrink import shrink


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for, and return 1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, help="run new seeds for so long")
    parser.add_argument("--seeds", type=int, default=1000, help="run so many seeds")
    parser.add_argument("--first", type=int, default=0, help="begin with this seed")
    parser.add_argument("--seed", type=int, help="replay this one")
    parser.add_argument("--keep-going", action="store_true", help="tally all findings")
    parser.add_argument(
        "--planted", nargs="?", const="", metavar="WORD", help="find each bug that is planted"
    )
    options = parser.parse_args(arguments)
    gc.freeze()
    if options.planted is not None:
        return _find_planted(options.planted, options.first)
    if options.seed is not None:
        return 1 if _show(options.seed, findings_of(draw_case(options.seed))) else 0
    started = time.perf_counter()
    tally: Counter[str] = Counter()
    examples: dict[str, int] = {}
    done = failed = 0
    for seed in count(options.first):
        seconds = time.perf_counter() - started
        if seconds > 60 * options.minutes if options.minutes else done >= options.seeds:
            break
        findings = findings_of(draw_case(seed))
        done += 1
        if findings:
            failed += 1
            kind = re.sub(r"[\d.]+", "N", findings[0].split(":")[0])
            tally[kind] += 1
            examples.setdefault(kind, seed)
            if not options.keep_going:
                _show(seed, findings)
                break
    seconds = time.perf_counter() - started
    for finding, times in tally.most_common():
        print(f"{times:5} {finding[:160]}  (--seed {examples[finding]})")
    print(f"{done:,} cases in {seconds:.1f} s ({done / seconds:.0f}/s), {failed} with findings")
    return 1 if failed else 0


def _find_planted(word: str, first: int) -> int:
    missed = 0
    for name, planting in PLANTED.items():
        if word not in name:
            continue
        found = find_planted(planting, first)
        missed += found is None
        print(f"{name:36} {found or 'not found'}", flush=True)
    return 1 if missed else 0


def _show(seed: int, findings: list[str]) -> bool:
    case = draw_case(seed)
    print(describe_case(case))
    for finding in findings:
        print(f"- {finding}")
    if not findings:
        print("nothing was found")
    else:
        smaller = shrink(case, findings_of)
        print("The same in small:")
        print(describe_case(smaller))
        for finding in findings_of(smaller):
            print(f"- {finding}")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
