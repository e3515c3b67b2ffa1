"""The pages of the web apps in a real browser, without a window."""

from __future__ import annotations

import time
from itertools import product

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from ..embedding.browsing import measure_contrast, measure_width, set_screen, until
from ..embedding.processes import WebServer
from .printed import serve_app

pytestmark = [pytest.mark.slow, pytest.mark.one_python]


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


def ask(browser: webdriver.Chrome, server: WebServer, prompts: str) -> None:
    browser.get(server.url)
    browser.find_element(By.TAG_NAME, "textarea").send_keys(prompts)
    browser.find_element(By.TAG_NAME, "button").click()


def test_another_click_ends_the_run_of_the_one_before(
    browser: webdriver.Chrome, web_server: WebServer
) -> None:
    with web_server.client() as client:
        ask(browser, web_server, "one\ntwo")
        client.get("/reached/running/2")
        browser.find_element(By.TAG_NAME, "button").click()
        client.get("/reached/cancelled/2")
        client.post("/gates/two")
        until(browser, lambda browser: shown(browser) == ["two: TWO"])
        assert progress(browser) == (1, 2)


@pytest.mark.parametrize(("app", "end"), [("web", "li"), ("tokens", "p")])
def test_a_server_that_ends_is_told_of_on_the_page(
    browser: webdriver.Chrome, app: str, end: str
) -> None:
    with serve_app(app) as server:
        ask(browser, server, " ".join(["a long prompt"] * 100))
        server.running.kill()
        until(
            browser,
            lambda browser: "have broken off" in browser.find_element(By.TAG_NAME, end).text,
        )


LONG = "x" * 100


def test_the_page_of_answers_fits_each_screen_in_light_and_dark(
    browser: webdriver.Chrome, web_server: WebServer
) -> None:
    with web_server.client() as client:
        client.post(f"/gates/{LONG}")
    assert_fits_each_screen(browser, web_server)


def test_the_page_of_tokens_fits_each_screen_in_light_and_dark(browser: webdriver.Chrome) -> None:
    with serve_app("tokens") as server:
        assert_fits_each_screen(browser, server)


def assert_fits_each_screen(browser: webdriver.Chrome, server: WebServer) -> None:
    for width, theme in product((390, 1280), ("light", "dark")):
        set_screen(browser, width, theme)
        ask(browser, server, LONG)
        until(browser, lambda browser: LONG.upper() in read_body(browser))
        assert measure_width(browser) <= width
        assert measure_contrast(browser) > 7
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    errors = [entry["message"] for entry in browser.get_log("browser")]
    errors = [message for message in errors if server.url in message]
    assert [message for message in errors if "favicon" not in message] == []


def read_body(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text
