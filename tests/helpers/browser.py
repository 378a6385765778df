"""A browser without windows, in which pages are looked at."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

QUIET = "--disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", *QUIET.split()]


@contextmanager
def chromium() -> Iterator[Any]:
    """Chromium of the system, driven by playwright. Where one of them is missing the test is skipped, and fails in CI."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright (pip install playwright)")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        missing("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def missing(what: str) -> None:
    """Skips a test for lack of something; in CI everything is there, or something is wrong."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the page needs to be looked at with {what}, which is not here")


class Watched:
    """A page of a browser, what it asked for, and what it complained about."""

    def __init__(self, browser: Any, **options: Any) -> None:
        self.context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **options}
        )
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
