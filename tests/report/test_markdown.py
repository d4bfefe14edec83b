from __future__ import annotations

from bench.report.markdown import escape


def test_escape_stops_bare_links_and_mentions() -> None:
    assert escape("https://example.org @you") == "https:&#47;&#47;example.org \\@you"


def test_markup_and_cells_of_tables_stay_text() -> None:
    assert escape("a|b *c* `d` [e](f) <g>") == "a\\|b \\*c\\* \\`d\\` \\[e\\]\\(f\\) &lt;g&gt;"
