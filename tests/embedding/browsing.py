"""A real browser, without a window."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

from .processes import PATIENCE
from .programs import program

FLAGS = [
    "headless",
    "no-sandbox",
    "disable-gpu",
    "disable-dev-shm-usage",
    "disable-quic",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
]


def open_browser(profile: Path) -> webdriver.Chrome:
    """Start a browser with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium", "chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in [*FLAGS, f"user-data-dir={profile}"]:
        options.add_argument(f"--{flag}")
    return webdriver.Chrome(options, Service(program("chromedriver", "chromium-driver")))


def until(browser: webdriver.Chrome, condition: Callable[[webdriver.Chrome], Any]) -> Any:
    """Wait until something holds on the page, and return it."""
    return WebDriverWait(browser, PATIENCE, poll_frequency=0.01).until(condition)


def set_screen(browser: webdriver.Chrome, width: int, theme: str) -> None:
    """Show pages as a screen of so many pixels does, in a light or a dark theme."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    scheme = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})


def measure_width(browser: webdriver.Chrome) -> int:
    """Return how many pixels wide a page is, of which the screen may show fewer."""
    width: int = browser.execute_script("return document.documentElement.scrollWidth")
    return width


def measure_contrast(browser: webdriver.Chrome) -> float:
    """Return the contrast of a page's text as WCAG defines it."""
    # A page that sets no colours has those of the theme, which only a system colour can tell.
    colours = browser.execute_script(
        "const style = getComputedStyle(document.body);"
        "const probe = document.body.appendChild(document.createElement('i'));"
        "probe.style.color = 'Canvas';"
        "const canvas = getComputedStyle(probe).color;"
        "probe.remove();"
        "const ground = style.backgroundColor;"
        "return [ground === 'rgba(0, 0, 0, 0)' ? canvas : ground, style.color]"
    )
    first, second = sorted(map(_find_luminance, colours))
    return (second + 0.05) / (first + 0.05)


def _find_luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))
