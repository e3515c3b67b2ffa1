"""The command line: ``nadoo-flow run`` (a node over a file) and ``nadoo-flow demo``.

Each command is a room of its own, and ``console`` holds what both use. They use what
``nadoo_flow`` exports, as any program does. No other room imports them.
"""
