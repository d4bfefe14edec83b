from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from pydantic import ValidationError

from bench.report.board_text import board_text
from bench.report.html import render_html, shown_columns
from bench.report.leaderboard import leaderboard
from bench.report.page import asset
from bench.results import Example

VOID = {"meta", "br", "input", "link", "img", "hr"}
DRAWING = {"line", "rect", "circle", "path"}


class Page(HTMLParser):
    """Elements with their attributes and text; fails on tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in {tag}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in DRAWING
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def page(sample_run) -> Page:
    return Page(render_html(sample_run))


@pytest.fixture(scope="module")
def hostile_page(hostile_run) -> Page:
    return Page(render_html(hostile_run))


def test_nothing_is_fetched_from_anywhere(sample_run, page):
    html = render_html(sample_run)
    assert not re.search(r"https?://|//[a-z]|@import|url\(", html)
    for tag, attributes in page.elements:
        assert "src" not in attributes or (tag == "img" and attributes["src"].startswith("data:image/png;base64,"))
        assert attributes.get("href", "#").startswith("#")


def test_the_worst_preserved_samples_are_shown_and_described(page):
    pictures = page.all("img")
    assert pictures
    for attributes in pictures:
        read = base64.b64decode(attributes["src"].removeprefix("data:image/png;base64,"), validate=True)
        assert read.startswith(b"\x89PNG")
        assert "Image, both maps and their difference of digits/0652: cosine distance 0.830" in attributes["alt"]
    assert "digits/0652: cosine distance 0.830" in page.words


def test_a_picture_is_base64_and_nothing_else():
    with pytest.raises(ValidationError):
        Example(sample="a", value="cosine_distance", distance=0.1, picture='" onerror="x')


def test_links_lead_to_ids_that_exist_once(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"][1:] for attributes in page.all("a")}
    assert len(targets) == 11
    assert targets <= set(ids)


def test_tables_tell_what_their_headers_head(page):
    heads = page.all("th")
    assert heads
    assert all(head.get("scope") in ("col", "row", "colgroup") for head in heads)


def test_drawings_speak_or_are_hidden(page):
    depth_words = [svg for svg in page.all("svg") if svg.get("role") == "img"]
    assert len(depth_words) == 11 * 5
    assert all(svg["aria-label"] for svg in depth_words)


def test_the_figures_are_those_of_the_board(sample_run, page):
    shown = board_text(leaderboard(sample_run))
    for row in shown.rows:
        for i in shown_columns(shown):
            figure = row.harms[i]
            assert figure.value.removesuffix(f" {shown.columns[i].unit}") in page.words
            assert figure.interval in page.words
        for figure in (*(gap.figure for gap in row.gaps), row.size, row.latency):
            assert figure.value in page.words
            assert figure.interval in page.words
        assert " ".join(row.because.split()) in page.words


def test_the_leaderboard_holds_every_gated_harm_and_few_others(sample_run):
    columns = list(board_text(leaderboard(sample_run)).columns)
    assert shown_columns(board_text(leaderboard(sample_run))) == [0, 1, 2, 3]  # ECE has no interval
    many = replace(
        board_text(leaderboard(sample_run)), columns=tuple(replace(column, gated=True) for column in columns)
    )
    assert shown_columns(many) == [0, 1, 2, 3, 4]


def test_the_verdict_comes_first(page):
    words = page.words
    assert "digits: 3 of 11 may ship" in words
    assert words.index("May ship (3)") < words.index("Do not ship (3)") < words.index("Leaderboard")
    assert words.index("robust error (epsilon 0.1) +6.1 points [4.0, 8.4], tolerance 3") < words.index("Leaderboard")


def test_what_is_missing_stands_there_with_its_reason(page):
    assert "integrated gradients are not finite for sample digits/1203" in page.words
    assert "no input gradients on runtime 'onnxruntime'" in page.words


def test_the_twin_of_each_network_stands_beside_its_metric(page):
    line = "largest logit difference 1.0 of the output's step, same class on 63 of 64 samples"
    assert page.words.count(f"twin of the variant: {line}") == 4


def test_no_python_or_json_leaks(sample_run, page):
    assert not re.search(r"\b(nan|NaN|None|inf|Infinity|Undefined|Figure\()", page.words)
    for _, attributes in page.elements:
        assert not any(value in ("None", "nan", "None%") for value in attributes.values())


def test_drawings_stay_within_their_strip(page):
    for tag in DRAWING:
        for attributes in page.all(tag):
            for name in ("x", "x1", "x2", "cx"):
                if (attributes.get(name) or "").endswith("%"):
                    assert 0 <= float(attributes[name].rstrip("%")) <= 100


def test_names_from_files_cannot_become_elements(hostile_page, page):
    assert len(hostile_page.all("script")) == 1
    assert not hostile_page.all("i")
    kinds = {tag for tag, _ in page.elements}
    assert {tag for tag, _ in hostile_page.elements} <= kinds
    for _, attributes in hostile_page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
    assert "<script>alert('x')</script>\"'&" in hostile_page.words
    assert not any("\u202e" in text or "\x1b" in text for text in hostile_page.text)


def test_not_a_number_is_never_shown(hostile_page):
    assert not re.search(r"\b(nan|inf|infinity)\b", hostile_page.words, re.IGNORECASE)


def test_ids_are_ours_alone(hostile_page):
    for _, attributes in hostile_page.elements:
        assert re.fullmatch(r"[a-z][a-z0-9-]*", attributes.get("id") or "a")


def test_the_policy_allows_this_pages_script_and_style_only(sample_run):
    import hashlib

    html = render_html(sample_run)
    policy = next(a["content"] for a in Page(html).all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        (block,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert base64.b64encode(hashlib.sha256(block.encode()).digest()).decode() in policy


def test_an_empty_run(empty_run):
    assert "nothing was measured" in Page(render_html(empty_run)).words


def test_a_large_run_stays_small(sample_run):
    run = sample_run.model_copy(deep=True)
    for cell in run.cells:
        cell.details = {"curve": list(range(10_000))}
    assert len(render_html(run)) < 2_000_000


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _themes() -> list[dict[str, str]]:
    light, dark = re.findall(r":root \{(.*?)\}", asset("report.css"), re.DOTALL)
    found = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block)) for block in (light, dark)]
    assert len(found[0]) == len(found[1]) >= 12
    return found


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "paper"),
    [(ink, paper) for ink in ("ink", "faint", "good", "bad", "open", "mark") for paper in ("paper", "sheet")]
    + [(ink, paper) for ink in ("ink", "faint") for paper in ("good-bg", "bad-bg", "open-bg")]
    + [("good", "good-bg"), ("bad", "bad-bg"), ("open", "open-bg")],
)
def test_contrast_of_text_is_at_least_4_5(theme, ink, paper):
    colours = _themes()[theme]
    low, high = sorted(_luminance(colours[name]) for name in (ink, paper))
    assert (high + 0.05) / (low + 0.05) >= 4.5
