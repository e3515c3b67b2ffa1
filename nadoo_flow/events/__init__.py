"""Events: what happens in a run, and how it reaches those who subscribed to it.

A run that is watched makes an :class:`Event` at each step of an item (``stage_report``) and gives
it to the watchers, the progress bars among them, and to the Observable ``events`` of a processor or
stage (``run_report``). A run that is not watched makes none.

It may import ``streams``, ``errors`` and ``_support``.
"""

from .event import Event, ProgressArgument, RunInfo, StageInfo, Watcher, Watching
from .observable import Events
from .run_report import RunReport, report_run
from .stage_report import DROPPED, FINISHED, Outcome, StageReport, Work, note_failure

__all__ = [
    "DROPPED",
    "FINISHED",
    "Event",
    "Events",
    "Outcome",
    "ProgressArgument",
    "RunInfo",
    "RunReport",
    "StageInfo",
    "StageReport",
    "Watcher",
    "Watching",
    "Work",
    "note_failure",
    "report_run",
]
