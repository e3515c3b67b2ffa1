"""The command ``run``: a node over a file of inputs, with results as JSON Lines."""

from .command import add_command

__all__ = ["add_command"]
