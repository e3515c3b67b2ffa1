"""``nadoo-flow run``: a node over a file of inputs, results as JSON Lines."""

from .command import add_command

__all__ = ["add_command"]
