"""How soon the page of 50 variants of 40 values answers, as a ratio to an empty page in the same browser."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

from bench.report.html import render_html
from tests.report.many import many
from tests.report.sample import sample

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
EMPTY = (
    '<!DOCTYPE html><html lang="en"><title>empty</title><script>document.documentElement.dataset.ready = "yes"</script>'
)
# from the start of the navigation until the page says that it is ready
READY = """() => new Promise((done) => { const look = () => document.documentElement.dataset.ready === 'yes'
  ? done(performance.now()) : setTimeout(look); look(); })"""


@pytest.fixture(scope="module")
def page():
    path = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("no browser is installed: chromium or google-chrome")
        pytest.skip("no chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page()
        browser.close()


def milliseconds(page, file):
    page.goto(file.as_uri(), wait_until="commit")
    return page.evaluate(READY)


def test_time_to_interactive(benchmark, page, tmp_path):
    files = [tmp_path / name for name in ("empty.html", "board.html")]
    for file, html in zip(files, (EMPTY, render_html(many(sample(), 50, 40))), strict=True):
        file.write_text(html, encoding="utf-8")
    empty = sorted(milliseconds(page, files[0]) for _ in range(9))[4]
    times = []
    benchmark.pedantic(lambda: times.append(milliseconds(page, files[1])), rounds=7, warmup_rounds=1)
    benchmark.extra_info["ratio to an empty page"] = round(sorted(times)[len(times) // 2] / empty, 1)
    benchmark.extra_info["nodes"] = page.evaluate("() => document.querySelectorAll('*').length")
    assert page.locator("tr[data-row]:not(.reference)").count() == 50
