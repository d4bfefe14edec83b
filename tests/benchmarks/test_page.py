"""From opening a leaderboard of 50 variants and 40 values until it answers, beside an empty page, in one run."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from bench.report.html import render_html

REPORT = Path(__file__).parents[1] / "report"
ROUNDS = 7
EMPTY = "<!DOCTYPE html><html data-ready='yes'><title>empty</title><body></body></html>"


def neighbour(name):
    """A module beside the report's tests; imported by path, since tests are no package."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", REPORT / f"{name}.py")
    sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[spec.name])
    return sys.modules[spec.name]


def test_a_page_answers_soon(benchmark, tmp_path):
    path = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
    if path is None:
        pytest.skip("no browser is installed")
    run = neighbour("test_html").many(neighbour("sample").sample(), 50, 40)
    pages = {"empty": EMPTY, "leaderboard": render_html(run)}
    for name, text in pages.items():
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])

        def opened(name):
            page = browser.new_page()
            page.goto((tmp_path / f"{name}.html").as_uri(), wait_until="commit")
            page.locator("html[data-ready=yes]").wait_for(state="attached")
            milliseconds = page.evaluate("() => performance.now()")  # since navigation started
            page.close()
            return milliseconds

        def alternately():
            taken = {name: [] for name in pages}
            for _ in range(ROUNDS):
                for name in pages:
                    taken[name].append(opened(name))
            return {name: min(each) for name, each in taken.items()}

        best = benchmark.pedantic(alternately, rounds=1, warmup_rounds=0)
        browser.close()
    ratio = best["leaderboard"] / best["empty"]
    benchmark.extra_info |= {"ratio": ratio, "kilobytes": len(pages["leaderboard"].encode()) / 1e3}
    print(f"time to interactive: {ratio:.1f} times an empty page ({best})")
    assert ratio < 20
