"""Fixtures: the sample run, plain and hostile, and a browser where one is installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from bench.results import Results

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def _sample():
    """The neighbouring module; imported by path, since tests are no package."""
    name = "report_sample"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("sample.py"))
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def sample_run() -> Results:
    return _sample().sample()


@pytest.fixture(scope="session")
def hostile_run() -> Results:
    return _sample().hostile()


@pytest.fixture
def empty_run(sample_run) -> Results:
    return Results(suite=sample_run.suite, reference=sample_run.reference)


@pytest.fixture(scope="session")
def chromium():
    """A browser; where there is none tests are skipped, in continuous integration they fail."""
    path = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("no browser is installed: chromium or google-chrome")
        pytest.skip("no chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, tmp_path):
    """A function from HTML to the page in a browser once its scripts have run; nothing may fail or leave the page."""
    contexts, wrong = [], []

    def open_page(html: str, width: int = 1280, anchor: str = "", scripts: bool = True, **options: Any) -> Page:
        file = tmp_path / "page.html"
        file.write_text(html, encoding="utf-8")
        viewport = {"width": width, "height": 1000}
        contexts.append(chromium.new_context(viewport=viewport, java_script_enabled=scripts, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda told: wrong.append(f"{told.type}: {told.text}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith(("file:", "data:", "blob:")) or wrong.append(asked.url))
        page.goto(file.as_uri() + (f"#{anchor}" if anchor else ""))
        if scripts and 'id="data"' in html:
            page.locator("html[data-ready=yes]").wait_for()
        return page

    open_page.wrong = wrong
    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def rendered_in_browser(opened):
    """A function from HTML to the page's DOM once its scripts have run, in a window of a given width."""

    def render(html: str, width: int = 1280, anchor: str = "") -> str:
        return opened(html, width, anchor).content()

    return render
