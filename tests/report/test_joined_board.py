"""Boards over runs made by hand: hostile names, what is no number, cautions, shares kept, further columns."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from typing import get_args

import jsonschema
import pytest
from rich.cells import cell_len
from rich.console import Console

from bench.errors import UserError
from bench.report.board import BoardColumn, Entry, Side, Status, board, columns
from bench.report.board.cells import reference_entry, variant_entry
from bench.report.board.files import board_csv, board_json
from bench.report.board.html import render_board_html
from bench.report.board.kept import share_kept
from bench.report.board.terminal import render_board
from bench.report.board.text import board_text
from bench.report.html import render_html
from bench.report.leaderboard.marks import Mark
from bench.results import BoundInfo, Cell, ValueResult, Verdict
from bench.results import board as schema
from bench.results.schema import json_schema


class Page(HTMLParser):
    """The elements of a page and its words."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.text = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        if self.elements[-1:] and self.elements[-1][0] not in ("style", "script"):
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def formats(runs, values=()):
    """A board as page, columns, lines and terminal."""
    joined = board(runs, values)
    text = board_text(joined)
    return (
        Page(render_board_html(runs, values)),
        json.loads(board_json(joined)),
        list(csv.DictReader(io.StringIO(board_csv(joined)))),
        printed(text, 120),
    )


def printed(text, width, encoding="utf-8"):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    render_board(text, Console(file=stream, width=width))
    stream.flush()
    return raw.getvalue().decode(encoding)


def cell(values=None, **other):
    known = {
        "variant": "v", "target": "torch", "metric": "m", "family": "fidelity", "n": 90, "status": "ok",
        "values": values or {},
    }  # fmt: skip
    return Cell(**known | other)


def test_enums_of_the_board_are_those_of_its_schema():
    for enum, literal in ((Status, schema.Status), (Side, schema.Side), (Mark, schema.Mark)):
        unknown = {"", Mark.ALARM.value}  # no word in JSON, and no mark of a single figure
        assert {item.value for item in enum} - unknown == set(get_args(literal))


def test_the_file_obeys_its_published_schema(sample_run, hostile_run):
    told = json.loads(board_json(board([("a", sample_run), ("b", hostile_run)])))
    jsonschema.validate(told, json_schema("board"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(told | {"schema": 2}, json_schema("board"))


def named(run, name):
    return run.model_copy(update={"suite": run.suite.model_copy(update={"name": name})})


def with_cells(run, cells):
    """A run of one variant and its cells."""
    results = run.model_copy(deep=True)
    variant = results.variants[0].model_copy(update={"name": "v", "target": "torch", "families": {}})
    results.variants, results.cells = [variant], list(cells)
    results.variant_ratios = []
    return results


def test_names_from_files_steer_no_format(sample_run, hostile_run):
    page, columns_, lines, terminal = formats([("a", sample_run), ("<b>=1+1\x1b[31m", hostile_run)])
    kinds = {tag for tag, _ in page.elements}
    assert not {"i", "b", "img"} & kinds
    assert sum(tag == "script" for tag, _ in page.elements) == 2
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert re.fullmatch(r"[a-z][a-z0-9-]*", attributes.get("id") or "a")
    assert "<script>alert('x')</script>\"'&" in page.words
    assert not any(mark in page.words + terminal for mark in ("\x1b", "\u202e"))
    assert "[red]" in "".join(terminal.split())
    assert sum(len(group["rows"]["run"]) for group in columns_["groups"]) == len(lines)
    assert not re.search(r"\b(nan|inf|None)\b", page.words)


def test_a_spreadsheet_computes_no_name(sample_run):
    run = with_cells(sample_run, [cell({"x": ValueResult(kind="quality", variant=-1.0)}, variant='=HYPERLINK("x")')])
    run.variants[0].name, run.suite.name = '=HYPERLINK("x")', "@suite"
    _, _, lines, _ = formats([("a", run)])
    assert lines[-1]["variant"] == '\'=HYPERLINK("x")'
    assert lines[-1]["run"] == "'@suite"
    assert float(lines[-1]["m.x"]) == -1.0  # a number stays one


def test_what_is_no_number_differs_in_every_format(sample_run):
    names = ("none", "skipped", "error", "absent", "number")
    known = ValueResult(kind="quality", reference=0.5, variant=0.25, estimate=0.1, ci=(0.0, 0.2))
    values = {
        "none": {"x": ValueResult(kind="quality", reference=0.5, reason="too few")},
        "skipped": {"status": "skipped", "reason": "no gradients"},
        "error": {"status": "error", "reason": "ValueError"},
        "number": {"x": known},
    }
    runs = []
    for name in names:
        given = values.get(name)
        if given is None:
            cells = []
        elif "status" in given:
            cells = [cell(**given)]
        else:
            cells = [cell(given)]
        run = with_cells(sample_run, cells)
        run.suite.name = f"suite-{len(runs)}"
        run.suite.data.fingerprint, run.run.machine.fingerprint = "f", "m"
        runs.append((name, run))
    page, joined, lines, terminal = formats(runs)
    (group,) = joined["groups"]
    (column,) = group["columns"]
    of_variants = [place for place, name in enumerate(group["rows"]["variant"]) if name]
    assert [column["status"][place] for place in of_variants] == ["null", "skipped", "error", "absent", "number"]
    assert [column["number"][place] for place in of_variants] == [None, None, None, None, 0.25]
    assert [lines[place]["m.x.status"] for place in of_variants] == ["null", "skipped", "error", "absent", "number"]
    assert [lines[place]["m.x"] for place in of_variants] == ["", "", "", "", "0.25"]
    shown = re.findall(r'<span class="without (\w+)"[^>]*>([^<]*)</span>', render_board_html(runs))
    words = {"null": "no figure", "skipped": "skipped", "error": "error", "absent": "not measured"}
    assert set(shown) == set(words.items())
    in_order = [line.split()[1:] for line in terminal.splitlines() if line.startswith("  v ")]
    assert [" ".join(rest) for rest in in_order] == [*words.values(), "0.250"]
    for text in (page.words, " ".join(terminal.split())):
        for words in ("no figure", "skipped", "error", "not measured", "too few", "no gradients", "ValueError"):
            assert words in text
    assert "all of suite-3" in page.words


def test_bounds_and_ends_of_what_can_be_known_are_no_plain_figures(sample_run, monkeypatch):
    bound = ValueResult(
        kind="bound", reference=14.2, variant=3.14159, bound=BoundInfo(kind="lower", norm="l2", domain="samples")
    )
    run = with_cells(sample_run, [cell({"x": bound})])
    like = ValueResult(kind="quality", unit="networks", better="higher")

    def equivalents(runs):
        def read(row):
            ends = Entry(Status.LIMIT, 1.0, side=Side.BELOW), Entry(Status.LIMIT, 20.0, side=Side.ABOVE, n=90)
            return ends[row.variant is None]

        yield BoardColumn("equivalents", "{}", "networks", "uncertainty", like, read)

    monkeypatch.setattr(columns, "SOURCES", (*columns.SOURCES, equivalents))
    page, joined, lines, terminal = formats([("a", run)], ["m.x", "equivalents.networks"])
    for text in (page.words, terminal):
        for words in ("≥ 14.2", "≥ 3.14", "> 20.0 networks", "< 1.00 networks", "a bound, not the figure itself"):
            assert words in " ".join(text.split())
    (group,) = joined["groups"]
    assert [column["side"] for column in group["columns"]] == [["≥", "≥"], [">", "<"]]
    assert [line["equivalents.networks.side"] for line in lines] == [">", "<"]


def test_a_reference_that_was_measured_anew_for_each_variant_is_a_range():
    def latency(reference, name):
        return cell({"t": ValueResult(kind="cost", unit="ms", reference=reference, variant=1.0)}, variant=name)

    assert reference_entry("t", [latency(0.8, "a"), latency(0.8, "b")]).number == 0.8
    entry = reference_entry("t", [latency(0.8, "a"), latency(1.3, "b"), latency(1.0, "c")])
    assert (entry.status, entry.number, entry.low, entry.high) == (Status.RANGE, None, 0.8, 1.3)


def test_a_reference_is_known_where_any_variant_was_measured_beside_it():
    failed = cell(status="error", reason="boom")
    known = cell({"x": ValueResult(kind="quality", reference=0.5)}, variant="w")
    assert reference_entry("x", [failed, known]).number == 0.5
    skipped = cell(status="skipped", reason="no")
    assert reference_entry("x", [skipped, failed]) == Entry(Status.ERROR, reason="boom")
    assert reference_entry("x", [skipped]) == Entry(Status.SKIPPED, reason="no")
    unknown = cell({"x": ValueResult(kind="quality", variant=0.5, reason="why")})
    assert reference_entry("x", [unknown]).status is Status.NULL
    assert reference_entry("x", [unknown]).reason == "why"


@pytest.mark.parametrize(
    ("reference", "variant", "status", "share"),
    [(0.04, 0.03, "number", 0.75), (0.02, 0.11, "number", 5.5), (0.0, 0.03, "null", None), (None, 0.03, "null", None),
     (0.04, None, "null", None), (0.04, 0.0, "number", 0.0)],
)  # fmt: skip
def test_shares_kept(reference, variant, status, share):
    value = ValueResult(kind="quality", reference=reference, variant=variant)
    entry = share_kept(variant_entry("d", cell({"d": value})))
    assert entry.status == status
    assert entry.number == (None if share is None else pytest.approx(share, abs=1e-15))


def test_a_figure_without_an_interval_says_so(sample_run):
    bare = ValueResult(kind="quality", reference=0.5, variant=0.25, estimate=0.1, reason="underpowered")
    page, _, _, terminal = formats([("a", with_cells(sample_run, [cell({"x": bare})]))])
    assert page.words.count("no interval") == 4  # of both figures, of the harm, and why
    assert terminal.count("no interval") == 4
    for text in (page.words, terminal):
        assert "underpowered" in text


def test_cautions_stand_at_their_rows_and_other_warnings_at_their_run(sample_run):
    run = sample_run.model_copy(deep=True)
    run.run.warnings = ["the reference on torch, ptq4 on torch: its gradients are masked", "samples: two are equal"]
    page, joined, _, terminal = formats([("a", run)])
    (group,) = joined["groups"]
    said = {
        (variant, target): cautions
        for variant, target, cautions in zip(
            *(group["rows"][n] for n in ("variant", "target", "cautions")), strict=True
        )
    }
    assert said.pop((None, "torch")) == said.pop(("ptq4", "torch")) == ["its gradients are masked"]
    assert not any(said.values())
    assert group["warnings"] == [{"run": 0, "text": "samples: two are equal"}]
    for text in (page.words, " ".join(terminal.split())):
        assert "digits: reference (torch), digits: ptq4 (torch)" in text
        assert "its gradients are masked" in text
        assert "samples: two are equal" in text
    assert page.words.index("its gradients are masked") < page.words.index("higher is better")
    assert sum(attributes.get("class") == "tag doubt" for _, attributes in page.elements) == 2


def test_replicates_are_rows_of_their_own(sample_run):
    def value(number):
        return {"x": ValueResult(kind="quality", reference=number, variant=number / 2)}

    cells = [cell(value(1.0), replicate=0), cell(value(2.0), replicate=1), cell(value(3.0), replicate=None)]
    run = with_cells(sample_run, cells)
    run.variants = [run.variants[0].model_copy(update={"replicate": which}) for which in (0, 1, None)]
    _, joined, _, terminal = formats([("a", run)])
    (group,) = joined["groups"]
    assert group["rows"]["replicate"] == [None, 0, 1, None, 0, 1]  # all of them together come first
    assert group["columns"][0]["number"] == [3.0, 1.0, 2.0, 1.5, 0.5, 1.0]
    assert "torch, replicate 1" in terminal


def test_replicates_are_no_further_variants(sample_run):
    name, told = "v", {"kind": "quality", "reference": 1.0, "variant": 0.5}
    cells = [cell({"x": ValueResult(**told)}, replicate=which) for which in (0, 1, None)]
    run = with_cells(sample_run, cells)
    places = [(0, "torch, replicate 0"), (1, "torch, replicate 1"), (None, "torch, all replicates")]
    run.variants = [
        run.variants[0].model_copy(
            update={"replicate": which, "verdict": Verdict(because=f"undecided on {name} ({place}): no gate was set")}
        )
        for which, place in places
    ]
    html = render_html(run)
    words = Page(html).words
    assert "1 measured, no gate was set" in words
    assert "1 variant on 1 target, in 2 replicates and all of them together" in words
    assert f"undecided on {name}" not in words  # the row says "undecided", and why
    assert words.count("no gate was set") == 5  # of the heading, the sentence and each of three rows


def test_other_numbers_of_samples_in_one_column_are_shown(sample_run):
    value = {"x": ValueResult(kind="quality", reference=0.5, variant=0.25)}
    runs = []
    for name, n in (("a", 90), ("b", 40)):
        run = with_cells(sample_run, [cell(value, n=n)])
        run.suite.name, run.suite.data.fingerprint, run.run.machine.fingerprint = name, "f", "m"
        runs.append((name, run))
    page, _, _, _ = formats(runs)
    assert page.words.count("(n = 90)") == page.words.count("(n = 40)") == 2
    assert "(n = " not in formats(runs[:1])[0].words


def test_a_column_of_fewer_samples_says_of_how_many(sample_run):
    value = {"x": ValueResult(kind="quality", better="lower", reference=0.5, variant=0.25)}
    run = with_cells(sample_run, [cell(value, n=40)])
    page, _, _, terminal = formats([("a", run)])
    assert "lower is better, n = 40" in page.words
    assert "n = 40" in " ".join(terminal.split())
    run.suite.data.evaluation = 40
    assert "n = 40" not in formats([("a", run)])[0].words


def test_networks_whose_sums_can_saturate_are_named_and_no_others(sample_run):
    value = {"x": ValueResult(kind="quality", reference=0.5, variant=0.25)}
    can = {"variant": {"integer_sums": {"kind": "exact", "layers": [{"name": "conv1", "can_saturate": 0.3}]}}}
    cannot = {"variant": {"integer_sums": {"kind": "exact", "layers": []}}}
    run = with_cells(sample_run, [cell(value, details=can), cell(value, variant="w", details=cannot)])
    run.variants.append(run.variants[0].model_copy(update={"name": "w"}))
    page, _, _, terminal = formats([("a", run)])
    for text in (page.words, " ".join(terminal.split())):
        assert "of 8-bit products" in text
    for text in (page.words.partition("Other functions")[2], terminal.partition("Other functions")[2]):
        assert "digits: v (torch)" in text
        assert "digits: w (torch)" not in text
    assert "30 % of weight pairs in layer 'conv1' can saturate" in page.words


def test_gaps_are_on_no_board(sample_run):
    """They are on the yardsticks of one suite, and mean nothing beside another's."""
    run = sample_run.model_copy(deep=True)
    run.suite.data.fingerprint, run.run.machine.fingerprint = "f", "m"
    other = run.model_copy(deep=True)
    other.suite.fingerprint = "another suite"
    joined = board([("a", run), ("b", other)])
    for text in (board_json(joined), board_csv(joined), Page(render_board_html([("a", run), ("b", other)])).words):
        assert not re.search(r"\bgap", text)


def test_versions_that_differ_within_a_table_are_said(sample_run):
    runs = []
    for name, version in (("a", "2.13.0"), ("b", "2.14.0")):
        run = sample_run.model_copy(deep=True)
        run.suite.name, run.suite.data.fingerprint, run.run.machine.fingerprint = name, "f", "m"
        run.run.packages["torch"], run.run.threads = version, {"OMP_NUM_THREADS": version[2]}
        runs.append((name, run))
    page, joined, _, _ = formats(runs)
    (group,) = joined["groups"]
    assert group["remarks"] == ["torch: 2.13.0 in a; 2.14.0 in b"]
    assert "torch: 2.13.0 in a; 2.14.0 in b" in page.words


def test_every_wrong_value_is_said(sample_run):
    with pytest.raises(UserError) as caught:
        board([("a", sample_run)], ["fidelity.accuracy.acc", "fidelity.accuracy.accuracy", "adversarial.pgd[e=1].x"])
    assert [problem.where for problem in caught.value.problems] == ["--value", "--value"]


def test_a_column_that_was_asked_for_stays_where_no_run_of_a_table_has_it(sample_run):
    other = with_cells(sample_run, [cell({"x": ValueResult(kind="quality", reference=0.5, variant=0.25)})])
    runs = [("a", sample_run), ("b", other)]  # neither records a fingerprint of its data: two tables
    wanted = board(runs, ["m.x"])
    assert [[column.name for column in group.columns] for group in wanted.groups] == [["m.x"], ["m.x"]]
    assert {entry.status for line in wanted.groups[0].entries for entry in line} == {Status.ABSENT}
    usual = board([("a", sample_run), ("b", with_cells(sample_run, sample_run.cells[:0]))])
    assert usual.groups[0].columns
    assert not usual.groups[1].columns


def test_parameters_choose_among_columns_of_one_name(sample_run):
    every = board([("a", sample_run)], ["adversarial.pgd.robust_error"]).groups[0].columns
    assert [column.apart for column in every] == [(("epsilon", 0.05),), (("epsilon", 0.1),)]
    (one,) = board([("a", sample_run)], ["adversarial.pgd[epsilon=0.1].robust_error"]).groups[0].columns
    assert one == every[1]
    assert board([("a", sample_run)], [one.name]).groups[0].columns == (one,)


@pytest.mark.parametrize("width", [60, 80, 160])
def test_nothing_is_wider_than_the_terminal_or_cut(sample_run, hostile_run, width):
    text = printed(board_text(board([("a", sample_run), ("b", hostile_run)])), width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "…" not in text


def test_a_terminal_without_unicode_gets_ascii(sample_run):
    assert printed(board_text(board([("a", sample_run)])), 80, "ascii").isascii()


def test_a_small_screen_scrolls_within_tables_only(sample_run, hostile_run, rendered_in_browser):
    html = render_board_html([("a" * 90, sample_run), ("b", hostile_run)])
    probe = """
    document.querySelectorAll('details').forEach((each) => { each.open = true; });
    document.body.style.width = '400px'; document.documentElement.style.width = '400px';
    const wide = [...document.querySelectorAll('body *')].filter((item) => !item.closest('.scroll')
        && item.getBoundingClientRect().right > 401);
    document.title = 'wide:' + wide.map((item) => item.tagName + '.' + item.className).join(' ');
    """
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    dom = rendered_in_browser(html.replace("</body>", f"<script>{probe}</script></body>"), width=500)
    assert re.search(r"<title>(.*?)</title>", dom).group(1) == "wide:"


def test_the_policy_lets_no_script_run(sample_run, rendered_in_browser):
    html = render_board_html([("a", sample_run)])
    dom = rendered_in_browser(html.replace("</body>", "<script>document.title = 'foreign'</script></body>"))
    assert "<title>crbench: board of 1 run</title>" in dom
