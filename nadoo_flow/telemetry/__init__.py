"""Telemetry: runs as traces and metrics of OpenTelemetry, and items as fields of log records.

``instrument`` has runs followed, by a ``run_telemetry`` that makes their spans and records their
metrics; a ``carrier`` takes the current span to the workers of executors. ``ItemFilter`` needs no
other package. Of OpenTelemetry only the API is used, which is imported by ``instrument``: where its
SDK is not set up, it does nothing.

It may import ``events``, ``errors`` and ``_support``. Nothing imports it.
"""

from .instrument import Instrumentation, instrument
from .item_filter import ItemFilter

__all__ = [
    "Instrumentation",
    "ItemFilter",
    "instrument",
]
