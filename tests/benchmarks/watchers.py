"""Runs of ours that are watched or recorded, made anew for each run."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

Make: TypeAlias = Callable[[Any, int], Any]
"""Takes a node or a function, and a concurrency; returns a processor."""

_numbers = count()


def plain(work: Any, concurrency: int) -> Any:
    from nadoo_flow import BatchProcessor

    return BatchProcessor(work, concurrency)


def left(work: Any, concurrency: int) -> Any:
    """Have a subscriber, but not any more when the run begins."""
    processor = plain(work, concurrency)
    processor.events.subscribe(print).dispose()
    return processor


def subscribed(work: Any, concurrency: int) -> Any:
    kinds: Counter[str] = Counter()

    def count_kind(event: Any) -> None:
        kinds[event.kind] += 1

    processor = plain(work, concurrency)
    processor.events.subscribe(count_kind)
    return processor


def traced(work: Any, concurrency: int) -> Any:
    from nadoo_flow import BatchProcessor, Trace

    return BatchProcessor(work, concurrency, trace=Trace())


def with_progress(work: Any, concurrency: int) -> Any:
    from nadoo_flow import BatchProcessor

    return BatchProcessor(work, concurrency, progress="always")


def recorded(work: Any, concurrency: int) -> Any:
    from nadoo_flow import BatchProcessor

    return BatchProcessor(work, concurrency, checkpoint=new_file())


def new_file() -> Path:
    """Name a file that does not exist yet, in a folder that is removed when the process ends."""
    return _make_folder() / str(next(_numbers))


@cache
def _make_folder() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


SUBSCRIBER = "a subscriber that counts events"
TRACE = "a trace"
BAR = "a progress bar"
CHECKPOINT = "a new checkpoint"

WATCHERS: dict[str, Make] = {
    SUBSCRIBER: subscribed,
    TRACE: traced,
    BAR: with_progress,
    CHECKPOINT: recorded,
}
