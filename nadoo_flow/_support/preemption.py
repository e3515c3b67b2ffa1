"""Whether the operating system, and not the code that ran, took the time of a step."""

from __future__ import annotations

from collections.abc import Callable

try:
    from resource import RUSAGE_THREAD, getrusage, struct_rusage
except ImportError:  # only Linux counts this for each thread

    def watch_preemption(seconds: float) -> Callable[[], bool]:
        """Return a function that returns False, because it is not known here."""
        return lambda: False

else:

    def watch_preemption(seconds: float) -> Callable[[], bool]:
        """Return a function that returns whether the thread has lost its time to other ones since.

        It has if it had to give way and never waited for anything itself.

        Args:
            seconds: The processor time from which on the thread has used the time itself.
        """
        before = getrusage(RUSAGE_THREAD)

        def was_preempted() -> bool:
            after = getrusage(RUSAGE_THREAD)
            return (
                after.ru_nivcsw > before.ru_nivcsw
                and after.ru_nvcsw == before.ru_nvcsw
                and _sum_processor_time(after) - _sum_processor_time(before) < seconds
            )

        return was_preempted

    def _sum_processor_time(usage: struct_rusage) -> float:
        return usage.ru_utime + usage.ru_stime
