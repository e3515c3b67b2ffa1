"""Events: the steps of the items in a run, and how they are emitted to observers.

In a run that is watched a stage emits an :class:`Event` at each step of an item
(``stage_reporter``). It goes to the watchers of the run, which are its progress bars and its trace,
and to the observers of ``events`` of the processor or stage (``run_reporter``). A run that is not
watched makes no events.

It may import ``streams``, ``errors`` and ``_support``.
"""

from .event import Event, ProgressArgument, RunInfo, StageInfo, Watcher, WatchOptions
from .observable import Events, HasEvents, find_events
from .run_reporter import RunReporter, start_reporting
from .stage_reporter import DROPPED, FINISHED, ItemEnd, StageReporter, note_failure, note_usage

__all__ = [
    "DROPPED",
    "FINISHED",
    "Event",
    "Events",
    "HasEvents",
    "ItemEnd",
    "ProgressArgument",
    "RunInfo",
    "RunReporter",
    "StageInfo",
    "StageReporter",
    "WatchOptions",
    "Watcher",
    "find_events",
    "note_failure",
    "note_usage",
    "start_reporting",
]
