"""The demo: read every document below a folder, several at a time, and report on them.

``python -m nadoo_flow demo [PATH]`` runs this. It uses only what ``nadoo_flow`` exports, so it can
be read as an example: a pipeline over real inputs, some of which are broken.
"""

from .command import add_command

__all__ = ["add_command"]
