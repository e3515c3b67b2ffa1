"""Tracing: a record of the events of runs, and its pictures.

A :class:`Trace` is a watcher that keeps events. From its ``history`` it draws marbles and
the timeline, and finds the bottleneck.

It may import ``events``, ``drawing``, ``errors`` and ``_support``.
"""

from .trace import Trace

__all__ = [
    "Trace",
]
