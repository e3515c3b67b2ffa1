"""The live page of runs in a real browser, mounted in a web program."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from .browsing import measure_contrast, measure_width, open_browser, set_screen, until
from .processes import GRACE, PATIENCE, WebServer

pytestmark = [pytest.mark.slow, pytest.mark.one_python]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer("tests.embedding.dashboard_server:app", *GRACE) as server:
        yield server


@pytest.fixture
def client(server: WebServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def page(browser: webdriver.Chrome, server: WebServer) -> Iterator[webdriver.Chrome]:
    """Open the page in a tab, and close it at the end."""
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    browser.get(f"{server.url}/runs/")
    yield browser
    if browser.current_window_handle != first:
        browser.close()
    browser.switch_to.window(first)
    assert [
        entry for entry in browser.get_log("browser") if "favicon" not in entry["message"]
    ] == []


def read(page: webdriver.Chrome, tile: str) -> str:
    found = page.find_elements(By.CSS_SELECTOR, f".tile[data-name='{tile}'] dd")
    return found[0].text if found else ""


def read_state(page: webdriver.Chrome) -> str:
    found = page.find_elements(By.CSS_SELECTOR, ".state")
    return found[0].text if found else ""


def press(page: webdriver.Chrome, words: str) -> None:
    """Go to a button with the key Tab, from wherever the focus is, and press it."""
    focus_on(page, words)
    page.switch_to.active_element.send_keys(Keys.ENTER)


def focus_on(page: webdriver.Chrome, words: str) -> None:
    """Press Tab until the element with the focus begins with a text."""
    for _ in range(20):
        if page.switch_to.active_element.text.startswith(words):
            return
        page.switch_to.active_element.send_keys(Keys.TAB)
    raise AssertionError(f"no key leads to {words}")


def test_the_numbers_on_the_page_are_those_of_the_run_and_hostile_texts_are_only_texts(
    page: webdriver.Chrome, client: httpx.Client
) -> None:
    until(page, lambda page: "No run has begun" in page.find_element(By.TAG_NAME, "main").text)
    prompts = ["one", "two", "bad three", "four", "bad five", "six"]
    client.post("/begin/1", json=prompts)
    until(page, lambda page: read(page, "in work") == "5")
    gauge = page.find_element(By.CSS_SELECTOR, ".gauge").text
    assert "3 of 3 in use" in gauge
    until(page, lambda page: "2 waiting" in page.find_element(By.CSS_SELECTOR, ".gauge").text)
    items = [lane.text for lane in page.find_elements(By.CSS_SELECTOR, ".lane")]
    assert [re.sub(r"\n.*", "", text) for text in items] == [f"item {index}" for index in range(5)]
    for prompt in prompts:
        client.post(f"/gates/{prompt}")
    results = client.get("/results/1").json()
    until(page, lambda page: read_state(page) == "completed")
    shown = {
        name: read(page, name) for name in ("finished", "failed", "in work", "retried", "tokens")
    }
    assert (results["finished"], results["failed"]) == (4, 2)
    assert shown == {
        "finished": "4",
        "failed": "2",
        "in work": "0",
        "retried": "2",
        "tokens": str(results["usage"]["tokens"]),
    }
    assert page.find_element(By.CSS_SELECTOR, ".run summary").text.count("6 of 6") == 1
    arrows = [arrow.text for arrow in page.find_elements(By.CSS_SELECTOR, ".arrow")]
    assert arrows == ["↓ 6", "↓ 4"]
    errors = [error.text for error in page.find_elements(By.CSS_SELECTOR, ".failures .error")]
    assert len(errors) == 2
    for text in [*errors, page.find_element(By.TAG_NAME, "h2").text]:
        assert text.startswith("</script><img src=x onerror=\"document.title='broken'\">")
        assert len(text) <= 240
    assert page.title == "Answers"
    assert page.find_elements(By.TAG_NAME, "img") == []


def test_drain_finishes_what_is_at_work(page: webdriver.Chrome, client: httpx.Client) -> None:
    client.post("/begin/1", json=["a", "b", "c", "d", "e", "f", "g"])
    until(page, lambda page: read(page, "in work") == "5")
    press(page, "Drain")
    until(page, lambda page: read_state(page) == "draining")
    for prompt in "abcdefg":
        client.post(f"/gates/{prompt}")
    assert client.get("/results/1").json()["outputs"] == ["A", "B", "C", "D", "E"]
    until(page, lambda page: read_state(page) == "drained")
    assert (read(page, "finished"), read(page, "cancelled")) == ("5", "")
    assert not page.find_element(By.CSS_SELECTOR, ".buttons").is_displayed()


def test_cancel_asks_once_and_gives_what_was_finished(
    page: webdriver.Chrome, client: httpx.Client
) -> None:
    client.post("/begin/1", json=["a", "b", "c", "d", "e", "f", "g"])
    client.post("/gates/a")
    until(page, lambda page: (read(page, "finished"), read(page, "in work")) == ("1", "5"))
    press(page, "Cancel")
    until(page, lambda page: page.find_element(By.XPATH, "//button[.='Really cancel?']"))
    assert read_state(page) == "running"
    press(page, "Really cancel?")
    assert client.get("/results/1").json()["outputs"] == ["A"]
    until(page, lambda page: read_state(page) == "drained")
    assert (read(page, "finished"), read(page, "cancelled")) == ("1", "5")


def test_the_keyboard_folds_a_run_and_the_focus_stays_where_it_is_and_can_be_seen(
    page: webdriver.Chrome, client: httpx.Client
) -> None:
    client.post("/begin/1", json=["bad a", "b", "c"])
    client.post("/gates/bad a")
    until(page, lambda page: read(page, "failed") == "1")
    run = page.find_element(By.CSS_SELECTOR, "details.run")
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    focus_on(page, "Run")
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert run.get_attribute("open") is None
    page.switch_to.active_element.send_keys(Keys.SPACE)
    assert run.get_attribute("open") is not None
    focus_on(page, "Cancel")
    client.post("/gates/b")
    until(page, lambda page: read(page, "finished") == "1")
    assert page.switch_to.active_element.text == "Cancel"
    assert page.switch_to.active_element.value_of_css_property("outline-style") == "solid"
    client.post("/gates/c")
    client.get("/results/1")
    until(page, lambda page: read_state(page) == "completed")


def test_a_tab_that_is_closed_leaves_nothing(page: webdriver.Chrome, client: httpx.Client) -> None:
    client.post("/begin/1", json=["a"])
    until(page, lambda page: read(page, "in work") == "1")
    assert client.get("/pages").json() == 1
    page.close()
    page.switch_to.window(page.window_handles[0])
    left = client.get("/closed").json()["tasks"]
    client.post("/gates/a")
    client.get("/results/1")
    # What was left of the run has ended too: a lane, and the task that awaited the batch.
    assert client.get("/closed").json()["tasks"] <= left
    assert client.get("/pages").json() == 0


def test_a_page_that_does_not_read_holds_nothing_up_and_leaves_nothing(
    server: WebServer, client: httpx.Client
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with server.client() as stalled, stalled.stream("GET", "/runs/events") as answer:
            assert answer.status_code == 200
            running = pool.submit(client.post, "/many/200000")
            assert running.result(PATIENCE).json() == 200_000
        assert client.get("/closed").status_code == 200


def test_a_server_that_stops_waits_for_a_page_no_longer_than_its_stream_lives(
    page: webdriver.Chrome, server: WebServer
) -> None:
    until(page, lambda page: page.find_element(By.ID, "connection").text == "live")
    server.running.send_signal(signal.SIGTERM)
    assert server.running.wait(PATIENCE) == -signal.SIGTERM
    until(page, lambda page: page.find_element(By.ID, "connection").text == "connection lost")
    page.get_log("browser")  # says that the server is gone


def measure(page: webdriver.Chrome) -> dict[str, float]:
    page.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    metrics = page.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return {each["name"]: each["value"] for each in metrics}


def test_the_memory_of_a_page_stays_flat_over_a_million_items(
    page: webdriver.Chrome, client: httpx.Client
) -> None:
    page.execute_cdp_cmd("Performance.enable", {})

    def run(items: int) -> dict[str, float]:
        assert client.post(f"/many/{items}", timeout=120).json() == items
        shown = f"{items:,} of {items:,}"
        until(page, lambda page: shown in page.find_element(By.TAG_NAME, "main").text)
        return measure(page)

    # Runs that have ended stay, so the room that one takes is told apart from what items take.
    run(1_000)
    few = run(2_000)
    many = run(1_000_000)
    print(f"{few['JSHeapUsedSize']:,.0f} bytes and {few['Nodes']:,.0f} nodes after few items")
    print(f"{many['JSHeapUsedSize']:,.0f} bytes and {many['Nodes']:,.0f} nodes after a million")
    assert many["Nodes"] - few["Nodes"] < 500
    assert many["JSHeapUsedSize"] - few["JSHeapUsedSize"] < 1_000_000


@pytest.mark.parametrize("width", [390, 1280, 1920])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_fits_each_screen_and_can_be_read_in_light_and_dark(
    page: webdriver.Chrome, client: httpx.Client, width: int, theme: str
) -> None:
    set_screen(page, width, theme)
    client.post("/begin/1", json=["bad " + "x" * 100, "b"])
    client.post(f"/gates/{'bad ' + 'x' * 100}")
    until(page, lambda page: read(page, "failed") == "1")
    assert measure_width(page) <= width
    assert measure_contrast(page) > 7
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
