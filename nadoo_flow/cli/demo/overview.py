"""The overview that the demo prints."""

from __future__ import annotations

import os
from collections import Counter

from nadoo_flow import NodeResult

from ..console import format_table


def format_overview(documents: list[str], root: str, result: NodeResult, rows: int) -> list[str]:
    """Format the result of the pipeline as lines."""
    totals, errors = result.output["totals"], result.metadata["errors"]
    numbers = {
        "documents": len(documents),
        "read": totals["documents"],
        "empty": len(documents) - len(errors) - totals["documents"],
        "failed": len(errors),
        "words": totals["words"],
        "entities": totals["entities"],
    }
    longest = [
        (
            os.path.relpath(document["document"], root),
            f"{document['word_count']:,}",
            f"{len(document['entities']):,}",
            document["summary"],
        )
        for document in totals["longest"]
    ]
    failed = [
        (
            os.path.relpath(documents[error["index"]], root),
            error["error"].replace(os.path.join(root, ""), ""),
        )
        for error in errors
    ]
    lines = format_table([(name, f"{number:,}") for name, number in numbers.items()], right=(1,))
    if longest:
        head = ("longest documents", "words", "entities", "summary")
        lines += ["", *format_table([head, *longest], right=(1, 2))]
    if failed:
        kinds = Counter(error.split(":")[0] for _, error in failed).most_common()
        summary = ", ".join(f"{number:,} {kind}" for kind, number in kinds)
        lines += ["", *format_table([("failed documents", summary), *failed[:rows]])]
    if len(failed) > rows:
        lines += [f"and {len(failed) - rows:,} more; --rows {len(failed)} lists them all"]
    return lines
