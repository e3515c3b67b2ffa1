"""The app that reports to OpenTelemetry, with and without a collector."""

from __future__ import annotations

from collections import Counter

import pytest

from ..telemetry.receiver import read_attributes, receiving
from .printed import start_app

pytestmark = [pytest.mark.slow, pytest.mark.one_python]

NAMES = {"POST /answers": 7, "answer": 6, "run answer": 1}
"""The spans of six items, one of which is tried twice."""
SUMMARY = "6 items: 5 successful, 1 failed"


def test_the_app_as_it_is_printed_writes_spans_metrics_and_logs() -> None:
    with start_app("telemetry") as app:
        assert app.end() == 0
    said = "".join(app.said)
    spans = [line for line in app.said if line.startswith("span ")]
    assert {name: sum(f"span {name} " in line for line in spans) for name in NAMES} == NAMES
    assert sum("['nadoo_flow.retry']" in line for line in spans) == 1
    assert sum(line.startswith("metric nadoo_flow.items ") for line in app.said) == 2
    assert "WARNING item 1: the prompt is empty\n" in said
    assert SUMMARY in said


def test_with_a_collector_it_sends_them_there_before_it_ends() -> None:
    with receiving() as receiver:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_SERVICE_NAME": "answers",
        }
        with start_app("telemetry", variables=variables) as app:
            assert app.end() == 0
        assert Counter(span.name for span in receiver.spans) == NAMES
        items = {span.span_id for span in receiver.spans if span.name == "answer"}
        calls = [span for span in receiver.spans if span.name == "POST /answers"]
        assert {span.parent_span_id for span in calls} == items
        points = receiver.metrics["nadoo_flow.items"].sum.data_points
        assert {
            read_attributes(point.attributes)["nadoo_flow.outcome"]: point.as_int
            for point in points
        } == {"finished": 5, "failed": 1}
    assert not any(line.startswith(("span", "metric")) for line in app.said)
    assert SUMMARY in "".join(app.said)
