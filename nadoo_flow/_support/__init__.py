"""Helpers that all rooms share: checks of arguments, the clock, tasks, text, backoff.

Users import nothing from here. It imports only the standard library, and tenacity where a backoff
needs it.
"""
