"""Tables of what was measured, in Markdown, and the same as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from .model import Case, Params
from .runner import Row


def case_text(case: Case, rows: Sequence[Row]) -> str:
    """Write one table for each variant, the fastest contestant first."""
    parts = [f"## {case.name}\n\n{case.title} ({case.unit})."]
    for _, same in groupby(rows, key=lambda row: row.params):
        variant = sorted(same, key=lambda row: (row.median is None, row.median))
        if label := params_text(variant[0].params):
            parts.append(f"{label}:")
        lines = [_cells(case, row, rows) for row in variant]
        head = ["contestant", case.unit, "min to max (rounds)", _over(case), "MB at the peak"]
        parts.append(table(head, lines))
    return "\n\n".join(parts)


def _over(case: Case) -> str:
    return {"ours": "over ours", "smallest": "over smallest", "nothing": ""}[case.over]


def _cells(case: Case, row: Row, rows: Sequence[Row]) -> list[str]:
    if row.median is None:
        return [row.contestant, row.problem]
    related = ratio(row, _base(case, row, rows))
    spread = f"{number(min(row.figures))} to {number(max(row.figures))} ({len(row.figures)})"
    name = f"{row.contestant} ({row.note})" if row.note else row.contestant
    return [
        name,
        number(row.median),
        spread,
        "" if related is None else f"{related:.2f}x",
        f"{row.peak_mb:.1f}",
        row.problem,
    ]


def _base(case: Case, row: Row, rows: Sequence[Row]) -> Row | None:
    """Return the row that the last column relates a row to."""
    if case.over == "nothing":
        return None
    if case.over == "smallest":
        own = [other for other in rows if other.contestant == row.contestant and other.figures]
        return min(own, key=lambda other: other.params["n"])
    ours = case.contestants[0].name
    return find(rows, ours, row.params)


def find(rows: Iterable[Row], contestant: str, params: Params) -> Row | None:
    """Return the row of a contestant in a variant."""
    return next(
        (row for row in rows if row.contestant == contestant and row.params == params), None
    )


def ratio(row: Row | None, base: Row | None) -> float | None:
    """Relate the median of a row to that of another, where both have one."""
    if row is None or base is None or row.median is None or not base.median:
        return None
    return row.median / base.median


def case_data(case: Case, rows: Sequence[Row]) -> dict[str, Any]:
    """Return what a case came to, for JSON."""
    data = [
        {**asdict(row), "median": row.median, "ratio": ratio(row, _base(case, row, rows))}
        for row in rows
    ]
    return {"case": case.name, "title": case.title, "unit": case.unit, "rows": data}


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table whose columns line up in plain text too."""
    columns = max(len(head), *map(len, lines))
    full = [[*line, *[""] * (columns - len(line))] for line in [head, *lines]]
    used = [column for column in range(columns) if any(line[column] for line in full)]
    widths = {column: max(len(line[column]) for line in full) for column in used}
    rule = {column: "-" * widths[column] for column in used}
    written = [[line[column].ljust(widths[column]) for column in used] for line in full]
    written.insert(1, [rule[column] for column in used])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in written)


def number(value: float) -> str:
    """Write a figure with as many digits as it is good for."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.01 else f"{value:.2f}"


def params_text(params: Params) -> str:
    """Write the settings of a variant."""
    return ", ".join(f"{name} {_setting(value)}" for name, value in params.items())


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:,}" if isinstance(value, int) else str(value)
