"""The pages of the web programs in a real browser, without a window."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from .browsing import open_browser, until
from .processes import WebServer

pytestmark = [pytest.mark.slow, pytest.mark.one_python]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    with open_browser(tmp_path) as browser:
        yield browser


def shown(browser: webdriver.Chrome) -> list[str]:
    return [item.text for item in browser.find_elements(By.TAG_NAME, "li")]


def progress(browser: webdriver.Chrome) -> tuple[str | None, str | None]:
    bar = browser.find_element(By.TAG_NAME, "progress")
    return bar.get_property("value"), bar.get_property("max")


def test_a_page_shows_each_result_when_it_is_there_and_closing_its_tab_cancels_the_run(
    browser: webdriver.Chrome, web_server: WebServer
) -> None:
    with web_server.client() as client:
        first_tab = browser.current_window_handle
        browser.switch_to.new_window("tab")
        browser.get(web_server.url)
        browser.find_element(By.TAG_NAME, "textarea").send_keys("one\ntwo\nthree\nfour")
        browser.find_element(By.TAG_NAME, "button").click()
        client.get("/reached/running/4")
        assert (shown(browser), progress(browser)) == ([], (0, 4))

        expected: list[str] = []
        for prompt in ("three", "one"):
            client.post(f"/gates/{prompt}")
            expected.append(f"{prompt}: {prompt.upper()}")
            until(browser, lambda browser: shown(browser) == expected)
            assert progress(browser) == (len(expected), 4)

        closed = time.monotonic()
        browser.close()
        client.get("/reached/cancelled/2")
        cleaned_up = client.get("/cancelled").json()
        assert cleaned_up.keys() == {"two", "four"}
        # The clock is the machine's, which all processes share. See it with `pytest -rP`.
        seconds = max(cleaned_up.values()) - closed
        print(f"the run ended {seconds:.2f} s after its tab was closed")
        assert client.get("/idle").json()["permits"] == 0
        browser.switch_to.window(first_tab)


def test_a_page_shows_the_tokens_of_several_answers_and_closing_its_tab_cancels_the_run(
    browser: webdriver.Chrome, token_server: WebServer
) -> None:
    def answers(browser: webdriver.Chrome) -> list[str]:
        return [item.text for item in browser.find_elements(By.TAG_NAME, "dd")]

    with token_server.client() as client:
        first_tab = browser.current_window_handle
        browser.switch_to.new_window("tab")
        browser.get(token_server.url)
        browser.find_element(By.TAG_NAME, "textarea").send_keys("one\ntwo\nthree")
        browser.find_element(By.TAG_NAME, "button").click()
        client.get("/running/3")
        expected = ["", "", ""]
        for index, prompt, word in [
            (2, "three", "To"),
            (0, "one", "Not"),
            (2, "three", "be"),
            (1, "two", "Or"),
            (0, "one", "yet"),
        ]:
            client.post(f"/words/{prompt}/{word}")
            expected[index] = f"{expected[index]} {word}".strip()
            until(browser, lambda browser: answers(browser) == expected)
        client.post("/words/two/end")
        client.get("/running/2")
        browser.close()
        assert sorted(client.get("/running/0").json()) == ["one", "three"]
        browser.switch_to.window(first_tab)
