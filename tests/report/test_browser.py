"""The page in a real browser: its script runs under its own policy, sorts, filters, and fits a small screen."""

from __future__ import annotations

import re

from bench.report.html import render_html


def _with_probe(html: str, script: str) -> str:
    """The page with one more script, which the page's policy would refuse."""
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    return html.replace("</body>", f"<script>{script}</script></body>")


def test_the_pages_own_script_runs_and_a_foreign_one_does_not(sample_run, rendered_in_browser):
    html = render_html(sample_run).replace("</body>", "<script>document.title = 'foreign'</script></body>")
    dom = rendered_in_browser(html, anchor="v2")
    assert "11 of 11 shown" in dom
    assert re.search(r'<details id="v2"[^>]* open', dom)
    assert "<title>digits" in dom


def test_sorting_keeps_what_is_missing_last(sample_run, rendered_in_browser):
    probe = """
    const heads = [...document.querySelectorAll('#leaderboard thead tr:last-child th')];
    const column = heads.findIndex((head) => head.textContent.startsWith('adversarial'));
    const body = document.querySelector('#leaderboard').tBodies[1];
    const read = () => [...body.rows].map((row) => row.cells[column].dataset.sort || '-').join(' ');
    const button = heads[column].querySelector('button');
    button.click(); const up = read(); button.click();
    document.title = up + '|' + read() + '|' + heads[column].getAttribute('aria-sort');
    """
    dom = rendered_in_browser(_with_probe(render_html(sample_run), probe))
    up, down, state = re.search(r"<title>(.*?)</title>", dom).group(1).split("|")
    numbers = [float(item) for item in up.split() if item != "-"]
    assert numbers == sorted(numbers)
    assert len(numbers) == 7
    assert up.split()[7:] == down.split()[7:] == ["-"] * 4
    assert [float(item) for item in down.split()[:7]] == numbers[::-1]
    assert state == "descending"


def test_filtering_by_word_and_verdict(sample_run, rendered_in_browser):
    probe = """
    const [words, state] = [document.querySelector('#tools input'), document.querySelector('#tools select')];
    words.value = 'PRUNE30'; words.dispatchEvent(new Event('input'));
    const first = document.querySelector('#tools output').textContent;
    state.value = 'stop'; state.dispatchEvent(new Event('change'));
    document.title = first + '|' + document.querySelector('#tools output').textContent;
    """
    dom = rendered_in_browser(_with_probe(render_html(sample_run), probe))
    assert "<title>4 of 11 shown|3 of 11 shown</title>" in dom


def test_a_small_screen_scrolls_within_tables_only(sample_run, hostile_run, rendered_in_browser):
    for run in (sample_run, hostile_run):
        frame = "document.querySelectorAll('details').forEach((each) => { each.open = true; });"
        probe = f"""
        {frame}
        document.body.style.width = '400px'; document.documentElement.style.width = '400px';
        const wide = [...document.querySelectorAll('body *')].filter((item) => !item.closest('.scroll, pre, svg')
            && item.getBoundingClientRect().right > 401);
        const stiff = [...document.querySelectorAll('.scroll, pre')]
            .filter((item) => getComputedStyle(item).overflowX !== 'auto');
        wide.push(...stiff);
        document.title = 'wide:' + wide.map((item) => item.tagName + '.' + item.className).join(' ');
        """
        dom = rendered_in_browser(_with_probe(render_html(run), probe), width=500)
        assert re.search(r"<title>(.*?)</title>", dom).group(1) == "wide:"
