"""The live page of a run in a real browser."""

from __future__ import annotations

import re
import signal

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from ..embedding.browsing import until
from ..interrupts import interruptible
from .printed import start_app

pytestmark = [pytest.mark.slow, pytest.mark.one_python]


def test_the_app_as_it_is_printed_shows_its_run_and_drains_it_on_ctrl_c(
    browser: webdriver.Chrome,
) -> None:
    with interruptible(), start_app("live_page") as app:
        app.wait_for("The run is shown at ")
        browser.get(app.said[-1].split()[-1])

        def read(browser: webdriver.Chrome) -> str:
            return browser.find_element(By.TAG_NAME, "main").text

        until(browser, lambda browser: "of 3,000" in read(browser))
        until(browser, lambda browser: "tokens" in read(browser))
        app.running.send_signal(signal.SIGINT)
        until(browser, lambda browser: "drain" in read(browser))
        assert app.end() == 0
        until(
            browser,
            lambda browser: browser.find_element(By.ID, "connection").text == "connection lost",
        )
    found = re.fullmatch(r"(\d+) of (\d+) prompts were answered\n", app.said[-1])
    assert found is not None
    assert 0 < int(found[1]) <= int(found[2]) < 3_000
