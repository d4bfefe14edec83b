"""The page of a run in a real browser: its script runs under its own policy, sorts, filters, fits a small screen."""

from __future__ import annotations

import html
import re
from urllib.parse import quote, urlencode

import pytest

from bench.report.board.html import render_board_html
from bench.report.html import render_html
from bench.report.interactive import unpacked
from bench.results import (
    HarmDifference,
    RankEntry,
    RankResult,
    RunDifference,
    RunRatio,
    RunsBeside,
    Unranked,
    ValueResult,
)
from tests.report.many import of_one_place, other


@pytest.fixture
def page(sample_run, opened):
    yield opened(render_html(sample_run))
    assert not opened.wrong


def names(page):
    lines = page.locator("table.leaderboard tr[data-row]:not(.reference):visible").all()
    return [line.locator("a.to-detail").inner_text() + " " + line.locator(".place").inner_text() for line in lines]


def data_of(text):
    return unpacked(re.search(r'id="data">([A-Za-z0-9+/=]+)<', text).group(1))["groups"][0]


def test_the_pages_own_script_runs_and_a_foreign_one_does_not(sample_run, opened):
    text = render_html(sample_run).replace("</body>", "<script>document.title = 'foreign'</script></body>")
    page = opened(text)
    assert "11 of 11 shown" in page.locator("#tools output").inner_text()
    assert page.title().startswith("digits")
    assert len(opened.wrong) == 1
    assert "Content Security Policy" in opened.wrong[0]


def in_python(told, rows, sort, down):
    """The order that a sort must give: by number, what has none last, ties as they stood."""
    numbers = {row: told[sort][row] for row in rows}
    known = sorted((row for row in rows if numbers[row] is not None), key=lambda row: numbers[row], reverse=down)
    if down:  # reverse keeps the order of equals: so does the page
        known = sorted(known, key=lambda row: -numbers[row])
    return [*known, *(row for row in rows if numbers[row] is None)]


@pytest.mark.parametrize("family", ["fidelity", "adversarial", "uncertainty"])
@pytest.mark.parametrize("by", ["harm", "gap"])
def test_every_sort_of_families_equals_pythons(sample_run, page, family, by):
    group = data_of(render_html(sample_run))
    told = next(item for item in group["families"] if item["family"] == family)
    rows = [row for row, state in enumerate(group["rows"]["state"]) if state is not None]
    numbers = told["gap_number"] if by == "gap" else group["columns"][told["harm"]]["estimate"]
    label = [f"{n} {p}" for n, p in zip(group["rows"]["name"], group["rows"]["place"], strict=True)]
    button = page.locator(f'button[data-sort="family|{family}|{by}"]')
    for down in (False, True):
        button.click()
        wanted = in_python({"x": numbers}, rows, "x", down)
        assert names(page) == [label[row] for row in wanted]
        assert button.locator("xpath=ancestor::th").get_attribute("aria-sort") == (
            "descending" if down else "ascending"
        )


def test_every_sort_of_values_equals_pythons(sample_run, page):
    group = data_of(render_html(sample_run))
    rows = [row for row, state in enumerate(group["rows"]["state"]) if state is not None]
    label = [f"{n} {p}" for n, p in zip(group["rows"]["name"], group["rows"]["place"], strict=True)]
    page.locator("#tools select[name=show]").select_option("value")
    for place in group["shown"]:
        column = group["columns"][place]
        page.locator(f'button[data-sort="value|{column["name"]}|value"]').click()
        assert names(page) == [label[row] for row in in_python(column, rows, "number", False)], column["name"]


def test_filters(page):
    count = page.locator("#tools output")
    page.locator("input[name=text]").fill("PRUNE30")
    assert count.inner_text() == "4 of 11 shown"
    page.locator("#tools select[name=state]").select_option("stop")
    assert count.inner_text() == "3 of 11 shown"
    page.locator("input[name=text]").fill("")
    page.locator("#tools select[name=state]").select_option("")
    page.locator("#tools select[name=step]").select_option("finetune")
    assert all("prune30" in name for name in names(page))
    page.locator("#tools select[name=family]").select_option("lipschitz")
    heads = page.locator("table.leaderboard thead th").all_inner_texts()
    assert len(heads) == 3
    assert heads[2].startswith("lipschitz")


def test_columns_that_are_chosen_stand_there_with_the_figures_of_the_results(sample_run, page):
    group = data_of(render_html(sample_run))
    page.locator("#picker summary").click()
    box = page.locator('#picker input[value="uncertainty.calibration.ece"]')
    box.check()
    heads = page.locator("table.leaderboard thead th .name").all_inner_texts()
    assert "ECE" in heads
    column = next(item for item in group["columns"] if item["name"] == "uncertainty.calibration.ece")
    for row, text in enumerate(column["value"]):
        cell = page.locator(f'tr[data-row="{row}"] td').nth(len(heads) - 1 + heads.index("ECE") - (len(heads) - 1))
        assert text in page.locator(f'tr[data-row="{row}"]').inner_text(), cell


def test_a_link_leads_to_the_same_view(sample_run, page, opened):
    page.locator("input[name=text]").fill("ptq")
    page.locator("#tools select[name=show]").select_option("harm")
    page.locator("button[data-sort]").nth(3).click()
    shown, anchor = names(page), page.url.partition("#")[2]
    assert len(shown) > 1
    again = opened(render_html(sample_run), anchor=anchor)
    assert names(again) == shown
    assert again.locator("input[name=text]").input_value() == "ptq"
    assert again.locator("table.leaderboard thead").inner_text() == page.locator("table.leaderboard thead").inner_text()


def test_details_and_the_way_back(page):
    link = page.locator("a.to-detail", has_text="ptq4").first
    link.click()
    detail = page.locator("#detail")
    assert detail.locator("h2").inner_text().startswith("ptq4 (")
    assert page.locator("table.leaderboard").is_hidden()
    assert detail.locator("table.values").count() >= 5
    page.keyboard.press("Escape")
    assert detail.is_hidden()
    assert page.locator("table.leaderboard").is_visible()
    page.go_back()
    assert detail.is_visible()
    page.go_back()
    assert detail.is_hidden()


def test_two_networks_side_by_side(sample_run, page):
    group = data_of(render_html(sample_run))
    boxes = page.locator("tr[data-row]:not(.reference) input.pick")
    boxes.nth(0).check()
    assert page.locator("#compare-button").is_disabled()
    boxes.nth(1).check()
    page.locator("#compare-button").click()
    detail = page.locator("#detail")
    rows = [row for row, state in enumerate(group["rows"]["state"]) if state is not None][:2]
    for row in rows:
        assert group["rows"]["label"][row] in detail.locator("h2").inner_text()
    lines = detail.locator("table.compare tbody tr")
    assert lines.count() == len(group["columns"])
    for place, column in enumerate(group["columns"]):
        text = lines.nth(place).inner_text()
        for row in rows:
            assert column["value"][row] in text


def test_any_two_variants_of_a_target_are_told_apart_in_pairs(sample_run, opened):
    run = sample_run.model_copy(deep=True)
    first, second, third = [variant for variant in run.variants if variant.target == "torch"][:3]
    pairs = [
        (second, first, 0.012, (0.004, 0.02)),
        (third, first, -0.02, (-0.03, -0.01)),
        (third, second, 0.0, (-0.01, 0.01)),
    ]
    differences = [
        HarmDifference(first=one.name, second=other.name, target="torch", difference=moved, ci=ends)
        for one, other, moved, ends in pairs
    ]
    told = {"metric": "fidelity.accuracy", "value": "accuracy", "kind": "quality", "of": 3, "method": "counts"}
    run.ranks = [RankResult(**told, differences=differences)]
    html = render_html(run)
    keys = {key.split("/")[-2]: key for key in data_of(html)["rows"]["key"] if key.endswith("/torch")}
    said = []
    for one, beside, _, _ in pairs:
        page = opened(html, anchor=urlencode({"compare": f"{keys[one.name]},{keys[beside.name]}"}))
        said += [text for text in page.locator("#detail ul li").all_inner_texts() if text.startswith("accuracy")]
    assert said == [
        f"accuracy, fidelity.accuracy: {second.name} is worse than {first.name} by 1.2 points [0.4, 2.0]",
        f"accuracy, fidelity.accuracy: {third.name} is better than {first.name} by 2.0 points [1.0, 3.0]",
        f"accuracy, fidelity.accuracy: {third.name} and {second.name} cannot be told apart: 0.0 points [-1.0, 1.0]",
    ]
    page = opened(html, anchor=urlencode({"open": keys[first.name]}))
    assert not any(text.startswith("accuracy") for text in page.locator("#detail ul li").all_inner_texts())


def test_a_network_is_beside_itself_in_another_run(sample_run, opened):
    first = of_one_place(sample_run)
    second = other(first)
    name = next(variant.name for variant in second.variants if variant.target == "torch")
    like = ValueResult(kind="quality", interval="score")
    place = {"target": "torch", "replicate": 0, "metric": "fidelity.accuracy", "params": {}, "value": "accuracy"}
    ratio = {"variant": name, "target": "torch", "metric": "fidelity.predictions", "value": "js"}
    beside = RunsBeside(
        before="first",
        after="second",
        ratios=(RunRatio(**ratio, ratio=2.0, ci=(1.6, 2.5), told_apart=True),),
        differences=(
            RunDifference(variant=name, **place, like=like, difference=0.06, ci=(0.03, 0.09)),
            RunDifference(variant=None, **place, like=like, unchanged=True),
            RunDifference(variant="gone", **place, like=like, difference=0.5, ci=(0.4, 0.6)),
        ),
    )
    runs = [("first", first), ("second", second)]
    text = render_board_html(runs, beside=[beside])
    rows = data_of(text)["rows"]
    keys = [
        key
        for key, of, at in zip(rows["key"], rows["name"], rows["target"], strict=True)
        if (of, at) == (name, "torch")
    ]
    page = opened(text, anchor=urlencode({"compare": ",".join(map(quote, keys))}))
    said = page.locator("#detail ul li").all_inner_texts()
    here, there = "digits (second)", "digits (first)"
    assert said == [
        "Jensen-Shannon divergence, fidelity.predictions: "
        f"{name} in {here} moved 2.00 [1.60, 2.50] times as far as {name} in {there}",
        f"accuracy, fidelity.accuracy: {name} in {here} is worse than {name} in {there} by 6.0 points [3.0, 9.0]",
    ]
    page = opened(text, scripts=False)
    page.locator("summary", has_text="each network with itself").click()
    lines = page.locator("details[open] tbody tr").all_inner_texts()
    assert lines[0] == "reference (torch)\taccuracy, fidelity.accuracy\tone and the same measurement in both"
    assert len(lines) == 3
    page = opened(render_board_html(runs), anchor=urlencode({"compare": ",".join(map(quote, keys))}))
    assert "These rows of two runs are not paired" in page.locator("#detail").inner_text()


def test_what_a_value_means_opens_and_closes(page):
    button = page.locator("button.what").first
    button.click()
    dialog = page.locator("#about")
    assert "Harm: how much worse" in dialog.inner_text()
    page.keyboard.press("Escape")
    assert dialog.is_hidden()
    assert button.evaluate("(item) => item === document.activeElement")


def test_a_keyboard_alone_opens_sorts_filters_and_compares(page):
    page.locator("input[name=text]").focus()
    page.keyboard.type("ptq")
    sort = page.locator("button.sort").first
    sort.focus()
    page.keyboard.press("Enter")
    assert sort.locator("xpath=ancestor::th").get_attribute("aria-sort") == "ascending"
    shown = names(page)
    assert shown == sorted(shown)
    for place in (0, 1):
        page.locator("tr[data-row]:not(.reference):visible input.pick").nth(place).focus()
        page.keyboard.press("Space")
    page.locator("#compare-button").focus()
    page.keyboard.press("Enter")
    assert " beside " in page.locator("#detail h2").inner_text()
    page.keyboard.press("Escape")
    page.locator("a.to-detail:visible").nth(4).focus()
    page.keyboard.press("Enter")
    assert page.locator("#detail").is_visible()
    assert page.locator("#detail-title").evaluate("(item) => item === document.activeElement")


def test_without_scripts_table_and_first_screen_read(sample_run, opened):
    page = opened(render_html(sample_run), scripts=False)
    assert "3 of 11 may ship" in page.locator("h1").inner_text()
    assert page.locator("table.leaderboard tr[data-row]").count() >= 11
    assert page.locator("#tools").is_hidden()
    assert page.locator("figure.pareto svg .dot").count() > 3


def test_pareto_is_drawn_anew_as_python_drew_it_first(page):
    plot = page.locator("figure.pareto")

    def drawn():
        circles = plot.locator("circle.point, rect.point").all()
        return [float(item.get_attribute(name) or 0) for item in circles for name in ("cx", "cy", "x", "y")]

    first, front = drawn(), plot.locator("polyline").get_attribute("points")
    chosen = plot.get_attribute("data-choice").split("|")
    plot.locator("select[name=what]").select_option("harm" if chosen[1] == "gap" else "gap")
    assert drawn() != first
    plot.locator("select[name=what]").select_option(chosen[1])
    assert drawn() == pytest.approx(first, abs=0.1)
    numbers = [float(text) for text in re.findall(r"[\d.]+", plot.locator("polyline").get_attribute("points"))]
    assert numbers == pytest.approx([float(text) for text in re.findall(r"[\d.]+", front)], abs=0.1)
    plot.locator("a.dot").last.focus()
    page.keyboard.press("Enter")
    assert page.locator("#detail").is_visible()


def test_the_norms_of_layers_are_drawn_and_stand_in_a_table(page):
    page.locator("tr[data-row]:not(.reference) a.to-detail").first.click()
    chart = page.locator("#detail figure.chart", has_text="Norm of each layer")
    told = chart.locator("circle title").all_text_contents()
    assert told[0] == "reference: conv1, l2 to l2, at most 12.17"  # relu, which cannot change a distance, is not there
    assert told[2:] == [f"variant: {name}, l2 to l2, at most {norm}" for name, norm in
                        (("conv1", 8.734), ("fc", 1.651), ("<b>out", 0.41))]  # fmt: skip
    small = page.locator("section.cell[data-metric='lipschitz.local'] details", has_text="Largest norm of each layer")
    small.locator("summary").click()
    assert small.locator("tbody tr").all_inner_texts() == [
        "conv1\t≤ 12.2\t≤ 8.74\tSVD of the operator",
        "fc\t≤ 2.12\t≤ 1.66\tSVD",
        "<b>out\t–\t≤ 0.410\tSVD",
    ]


def test_each_run_of_a_board_has_a_front_of_its_own(sample_run, opened):
    first = of_one_place(sample_run)
    worse = other(first)
    for cell in worse.cells:  # by cost no variant of the second run is better than one of the first
        if cell.metric == "cost.file_bytes":
            for value in cell.values.values():
                value.variant *= 9.0
    page = opened(render_board_html([("first", first), ("second", worse)]))
    plot = page.locator("figure.pareto")
    lines = [line.get_attribute("points") for line in plot.locator("polyline").all()]
    assert len(lines) == 2
    assert all(lines)
    names = plot.locator(".front-names span").inner_text()
    assert "(first): " in names
    assert "(second): " in names
    family = plot.locator("select[name=family]")
    usual = family.input_value()
    family.select_option(next(item for item in family.locator("option").all_inner_texts() if item != usual))
    assert plot.locator("polyline").first.get_attribute("points") != lines[0]
    family.select_option(usual)
    again = [line.get_attribute("points") for line in plot.locator("polyline").all()]
    for line, drawn in zip(lines, again, strict=True):
        found, wanted = ([float(text) for text in re.findall(r"[\d.]+", item)] for item in (drawn, line))
        assert found == pytest.approx(wanted, abs=0.1)
    assert plot.locator(".front-names span").inner_text() == names


def test_without_yardsticks_changes_stand_in_their_own_unit(sample_run, opened):
    run = sample_run.model_copy(deep=True)
    run.reference.yardstick_kind, run.reference.yardsticks = "none", 0
    why = "there are no yardsticks"
    for variant in run.variants:
        for family in variant.families.values():
            family.gap = family.gap_ci = family.alarm = family.alarm_value = None
            family.reason = why
    for cell in run.cells:
        for value in cell.values.values():
            if value.kind == "change":
                value.gap, value.gap_ci, value.reason = None, None, why
    page = opened(render_html(run))
    table = page.locator("table.leaderboard")
    assert "change: Jensen-Shannon divergence" in table.locator("thead").inner_text()
    words = table.inner_text()
    assert "gap" not in words
    assert "no figure" not in words
    assert page.locator("table.leaderboard svg.strip").count() == 0
    told = data_of(render_html(run))
    js = next(column for column in told["columns"] if column["name"] == "fidelity.predictions.js")
    row = next(row for row, state in enumerate(told["rows"]["state"]) if state is not None)
    assert f"change {js['harm'][row]}" in words.replace("\xa0", " ")
    detail = page.locator("tr[data-row]:not(.reference) a.to-detail").first
    detail.click()
    assert "change" in page.locator("#detail table").first.inner_text()
    assert "no figure" not in page.locator("#detail table").first.inner_text()


def test_a_small_screen_scrolls_within_tables_only(sample_run, hostile_run, opened):
    for run in (sample_run, hostile_run):
        page = opened(render_html(run), width=420)
        wide = """() => [...document.querySelectorAll('body *')]
            .filter((item) => !item.closest('.scroll, pre, svg, dialog'))
            .filter((item) => item.getBoundingClientRect().right > 421)
            .map((item) => item.tagName + '.' + item.className)"""
        assert page.evaluate(wide) == []
        page.locator("tr[data-row]:not(.reference) a.to-detail").first.click()
        assert page.evaluate(wide) == []


def test_a_sort_shows_the_places_that_each_may_truly_hold(sample_run, opened):
    run = sample_run.model_copy(deep=True)
    first, second, third = [variant for variant in run.variants if variant.target == "torch"][:3]
    entries = [
        RankEntry(variant=first.name, target="torch", low=1, high=2),
        RankEntry(variant=second.name, target="torch", low=2, high=2),
    ]
    left = [Unranked(variant=third.name, target="torch", reason="potentially unreliable: masked")]
    told = {"metric": "fidelity.accuracy", "family": "fidelity", "value": "accuracy", "kind": "quality", "n": 90}
    run.ranks = [RankResult(**told, of=2, method="counts", entries=entries, left_out=left)]
    page = opened(render_html(run))
    assert page.locator(".rank").count() == 0
    page.locator('button[data-sort="family|fidelity|harm"]').click()
    shown = {
        line.locator("a.to-detail").inner_text(): line.locator(".rank").inner_text()
        for line in page.locator("tr[data-row]").all()
        if line.locator(".rank").count()
    }
    assert shown == {
        first.name: "rank 1–2 of 2",
        second.name: "rank 2 of 2",
        third.name: "no rank: potentially unreliable: masked",
    }
    page.locator('button[data-sort="family|fidelity|gap"]').click()
    assert page.locator(".rank").count() == 0


def test_what_may_be_masked_never_wins_by_robustness(sample_run, opened):
    run = sample_run.model_copy(deep=True)
    told = next(cell for cell in run.cells if cell.metric == "adversarial.pgd" and cell.status == "ok")
    details = {"variant": {"verdict": "masked", "reasons": ["its plain gradients are zero"]}}
    masked = told.model_copy(update={"metric": "adversarial.masking", "details": details, "values": {}})
    run.cells.append(masked)
    (other_target,) = {v.target for v in run.variants if v.name == told.variant} - {told.target}
    page = opened(render_html(run))  # nobody looked on the other target: the same weights run there
    doubted = page.locator("tr[data-row]:not(.reference)", has_text="potentially unreliable")
    assert doubted.locator(".place").all_inner_texts() == [told.target, other_target]
    doubted.last.locator("a.to-detail").click()
    assert f"on {told.target}: gradients are masked" in page.locator("#detail .doubt").inner_text()
    sound = {"target": other_target, "details": {"variant": {"verdict": "sound"}}}
    run.cells.append(masked.model_copy(update=sound))
    page = opened(render_html(run))
    line = page.locator("tr[data-row]:not(.reference)", has_text="potentially unreliable")
    assert line.count() == 1
    name = line.locator("a.to-detail").inner_text() + " " + line.locator(".place").inner_text()
    known = names(page)
    for by in ("harm", "gap"):
        button = page.locator(f'button[data-sort="family|adversarial|{by}"]')
        for _ in range(2):
            button.click()
            order = names(page)
            assert sorted(order) == sorted(known)
            behind = order[order.index(name) + 1 :]
            group = data_of(render_html(run))
            told_of = next(item for item in group["families"] if item["family"] == "adversarial")
            have = told_of["gap_number"] if by == "gap" else group["columns"][told_of["harm"]]["estimate"]
            labels = [f"{n} {p}" for n, p in zip(group["rows"]["name"], group["rows"]["place"], strict=True)]
            assert all(have[labels.index(other)] is None for other in behind)  # behind it only what has no number


def test_within_a_frame_of_a_notebook_it_works_too(sample_run, opened):
    frame = (
        f'<iframe srcdoc="{html.escape(render_html(sample_run), quote=True)}" style="width:100%;height:900px"></iframe>'
    )
    page = opened(f"<!DOCTYPE html><title>a notebook</title>{frame}").frame_locator("iframe")
    page.locator("html[data-ready=yes]").wait_for()
    page.locator("#tools input[name=text]").fill("ptq")
    page.locator('button[data-sort="family|fidelity|gap"]').click()
    page.locator("a.to-detail:visible", has_text="ptq4").first.click()
    assert page.locator("#detail h2").inner_text().startswith("ptq4 (")
    page.locator("#back").click()
    assert page.locator("#detail").is_hidden()
    assert opened.wrong == []
