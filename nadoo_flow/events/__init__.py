"""Events: what happens in a run, and how it reaches those who subscribed to it.

A run that is watched makes an :class:`Event` at each step of an item (``stage_reporter``) and gives
it to the watchers, the progress bars among them, and to the Observable ``events`` of a processor or
stage (``run_reporter``). A run that is not watched makes none.

It may import ``streams``, ``errors`` and ``_support``.
"""

from .event import Event, ProgressArgument, RunInfo, StageInfo, Watcher, WatchOptions
from .observable import Events
from .run_reporter import RunReporter, start_reporting
from .stage_reporter import DROPPED, FINISHED, ItemEnd, Mapper, StageReporter, note_failure

__all__ = [
    "DROPPED",
    "FINISHED",
    "Event",
    "Events",
    "ItemEnd",
    "Mapper",
    "ProgressArgument",
    "RunInfo",
    "RunReporter",
    "StageInfo",
    "StageReporter",
    "WatchOptions",
    "Watcher",
    "note_failure",
    "start_reporting",
]
