"""Executors: ``node.pipe(on(executor))`` executes a node in the workers of an executor."""

from .errors import EngineLost, RemoteError, WorkerLost
from .on import on

__all__ = ["EngineLost", "RemoteError", "WorkerLost", "on"]
