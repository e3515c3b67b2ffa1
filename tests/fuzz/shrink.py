"""Makes a failing case as small as it fails in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any

from .case import Act, Case, Leaf, Nested, Policy, Several

TRIES = 600
"""Cases that are run at most to find a smaller one."""


def shrink(case: Case, findings_of: Callable[[Case], list[str]]) -> Case:
    """Return the smallest case that was found to have the same first finding."""
    wanted = _kind(findings_of(case))
    tries = 0
    candidates = _simpler(case)
    while tries < TRIES:
        candidate = next(candidates, None)
        if candidate is None:
            break
        tries += 1
        if _is_valid(candidate) and _kind(_found(candidate, findings_of)) == wanted:
            case, candidates = candidate, _simpler(candidate)
    return case


def _found(case: Case, findings_of: Callable[[Case], list[str]]) -> list[str]:
    try:
        return findings_of(case)
    except Exception:  # what is left makes no sense any more
        return []


def _kind(findings: list[str]) -> str:
    return findings[0][:20] if findings else ""


def _is_valid(case: Case) -> bool:
    return case.source.length is not None or case.ending.kind != "to_end"


def _simpler(value: Any) -> Iterator[Any]:
    match value:
        case Policy():
            yield value.node
        case Several():
            yield from value.nodes
        case Nested():
            yield Leaf("nested")
    if isinstance(value, tuple):
        yield from _simpler_tuples(value)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            now = getattr(value, field.name)
            if field.name in ("seed", "name", "way", "kind", "how", "error"):
                continue
            if field.default is not MISSING and now != field.default and type(now) is not int:
                yield replace(value, **{field.name: field.default})
            for simpler in _simpler(now):
                yield replace(value, **{field.name: simpler})
    elif isinstance(value, int) and not isinstance(value, bool) and value > 1:
        yield from sorted({1, value // 2, value - 1})


def _simpler_tuples(value: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    for place, part in enumerate(value):
        if len(value) > 1 or isinstance(part, tuple):
            yield value[:place] + value[place + 1 :]
        if isinstance(part, Act) and part != Act():
            yield (*value[:place], Act(), *value[place + 1 :])
        for simpler in _simpler(part):
            yield (*value[:place], simpler, *value[place + 1 :])
