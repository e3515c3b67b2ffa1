"""Executors: ``node.pipe(on(executor))`` executes a node in the workers of an executor.

Calls travel in bundles (``dispatcher``, ``bundle``), a worker runs those of a bundle on one event
loop (``worker``), and what a killed worker had is tried again (``losses``).

It may import ``policies``, ``nodes`` and the rooms below them.
"""

from .errors import ExecutorLost, RemoteError, WorkerLost
from .on import on

__all__ = ["ExecutorLost", "RemoteError", "WorkerLost", "on"]
