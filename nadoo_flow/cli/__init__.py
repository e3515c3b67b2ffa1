"""The command line: ``nadoo-flow run`` (a node over a file) and ``nadoo-flow demo``.

Each command is a room of its own; ``console`` is what they share. They use what ``nadoo_flow``
exports, as any program does, and nothing imports them.
"""
