from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from pydantic import ValidationError

from bench.report.board_text import board_text
from bench.report.html import render_html
from bench.report.interactive import script, unpacked
from bench.report.interactive.script import modules
from bench.report.leaderboard import leaderboard
from bench.report.page import asset
from bench.report.pictures import Pictures
from bench.results import Example
from tests.report.many import many, paired

VOID = {"meta", "br", "input", "link", "img", "hr"}
DRAWING = {"line", "rect", "circle", "path", "polyline"}


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


def held(html: str) -> dict:
    """What the page's scripts read."""
    return unpacked(re.search(r'<script type="text/plain" id="data">([A-Za-z0-9+/=]+)</script>', html).group(1))


SVG = "http://www.w3.org/2000/svg"  # a name, not an address


def test_nothing_is_fetched_from_anywhere(sample_run, page):
    html = re.sub(r'id="data">[^<]*<', "", render_html(sample_run)).replace(SVG, "")
    assert not re.search(r"https?://|['\"(]//[a-z]|@import|url\(", html)
    for _, attributes in page.elements:
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")


def test_the_worst_preserved_samples_are_held_with_their_captions(sample_run):
    cells = [cell for small in held(render_html(sample_run))["groups"][0]["small"] for cell in small["cells"]]
    shown = [picture for cell in cells for picture in cell.get("pictures", ())]
    assert shown
    for caption, source in shown:
        read = base64.b64decode(source.removeprefix("data:image/png;base64,"), validate=True)
        assert read.startswith(b"\x89PNG")
        assert caption == "digits/0652: cosine distance 0.830"


def test_pictures_stand_beside_the_page_where_that_is_asked(sample_run, tmp_path):
    beside = Pictures()
    html = render_html(sample_run, beside.place)
    cells = [cell for small in held(html)["groups"][0]["small"] for cell in small["cells"]]
    named = {source for cell in cells for _, source in cell.get("pictures", ())}
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "0123456789abcdef.png").write_bytes(b"of a former page")
    (tmp_path / "pictures" / "mine.png").write_bytes(b"somebody's own")
    beside.write(tmp_path)
    found = {f"pictures/{path.name}" for path in (tmp_path / "pictures").iterdir()}
    assert found == named | {"pictures/mine.png"}


def test_a_picture_is_base64_and_nothing_else():
    with pytest.raises(ValidationError):
        Example(sample="a", value="cosine_distance", distance=0.1, picture='" onerror="x')


def test_links_lead_to_networks_that_the_page_holds(sample_run, page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    keys = held(render_html(sample_run))["groups"][0]["rows"]["key"]
    assert len(keys) == len(set(keys))
    targets = {unquote(attributes["href"]) for attributes in page.all("a")}
    assert targets == {f"#open={key}" for key in keys}


def test_tables_tell_what_their_headers_head(page):
    heads = page.all("th")
    assert heads
    assert all(head.get("scope") in ("col", "row", "colgroup") for head in heads)


def test_drawings_speak_or_are_hidden(page):
    for svg in page.all("svg"):
        assert svg.get("aria-hidden") == "true" or svg["aria-label"]
    assert sum("strip" in (svg.get("class") or "") for svg in page.all("svg")) == 11 * 5


def test_the_figures_are_those_of_the_board(sample_run, page):
    shown = board_text(leaderboard(sample_run))
    told = held(render_html(sample_run))["groups"][0]
    of_families = {
        told["columns"][family["harm"]]["title"] for family in told["families"] if family["harm"] is not None
    }
    assert of_families == {"accuracy", "robust error (epsilon 0.05)", "NLL"}
    for row in shown.rows:
        for i, column in enumerate(shown.columns):
            if column.title in of_families:
                assert row.harms[i].value in page.words
                assert row.harms[i].interval in page.words
        for figure in (*(gap.figure for gap in row.gaps), row.size, row.latency):
            assert figure.value in page.words or figure.value == "–"
            assert figure.interval in page.words
        assert " ".join(row.reason.split()) in page.words


def test_the_verdict_comes_first(page):
    words = page.words
    assert "digits: 3 of 11 may ship" in words
    assert words.index("May ship (3)") < words.index("Do not ship (3)") < words.index("Leaderboard")
    assert "robust error (epsilon 0.1) +6.1 points [4.0, 8.4], tolerance 3" in words


def test_what_is_missing_stands_there_with_its_reason(page):
    assert "integrated gradients are not finite for sample digits/1203" in page.words
    assert "no input gradients on runtime 'onnxruntime'" in page.words


def test_the_twin_of_each_network_stands_beside_its_metric(sample_run):
    line = "largest logit difference 1.0 of the output's step, same class on 63 of 64 samples"
    cells = [cell for small in held(render_html(sample_run))["groups"][0]["small"] for cell in small["cells"]]
    assert [pair for cell in cells for pair in cell.get("parity", ())].count(["twin of the variant", line]) == 4


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
    assert [script.get("type") for script in hostile_page.all("script")] == ["text/plain", None]
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


def test_fifty_variants_of_forty_values_are_less_than_300_kilobytes(sample_run):
    run = paired(many(sample_run, 50, 40))
    assert sum(len(cell.values) for cell in run.cells) >= 50 * 40
    html = render_html(run)
    assert len(html.encode()) < 300_000
    # so many pairs say too much: a page keeps neighbours, as it keeps any two of twenty-five
    (group,) = held(html)["groups"]
    assert len(group["pairs"]) == 5 * 49
    (group,) = held(render_html(paired(many(sample_run, 25, 40))))["groups"]
    assert len(group["pairs"]) == (5 + 7) * 25 * 24 // 2
    assert len(script().encode()) <= 40 * 1024
    assert max(module.count("\n") for module in modules()) < 300


def test_a_large_run_stays_small(sample_run):
    run = sample_run.model_copy(deep=True)
    for cell in run.cells:
        cell.details = {"curve": list(range(10_000))}
    assert len(render_html(run)) < 300_000


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
