"""Fixtures: the sample run, plain and hostile, and a browser where one is installed."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.fixture
def rendered_in_browser(tmp_path):
    """A function from HTML to the page's DOM once its scripts have run, in a window of a given width."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no chromium is installed")

    def render(html: str, width: int = 1280, anchor: str = "") -> str:
        page = tmp_path / "page.html"
        page.write_text(html, encoding="utf-8")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        flags += [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},1200", "--dump-dom"]
        url = page.as_uri() + (f"#{anchor}" if anchor else "")
        done = subprocess.run([browser, *flags, url], capture_output=True, timeout=120, check=True)
        return done.stdout.decode()

    return render
