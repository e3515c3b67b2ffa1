"""Events of runs: who makes them, and how they reach whoever watches."""

from .observable import Events
from .run_report import RunReport, report_run
from .stage_report import DROPPED, FINISHED, Outcome, StageReport, Work, note_failure

__all__ = [
    "DROPPED",
    "FINISHED",
    "Events",
    "Outcome",
    "RunReport",
    "StageReport",
    "Work",
    "note_failure",
    "report_run",
]
