import json
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console

from bench.report.board_text import board_text
from bench.report.github import error_lines
from bench.report.judgement_markdown import summary
from bench.report.judgement_terminal import render
from bench.report.judgements import RATIOS, ratio_lines, rows_of
from bench.report.junit import element_of, junit
from bench.report.leaderboard import leaderboard
from bench.report.markdown import escape
from bench.results import Comparison, Judgement, RunRatio


def judgement(verdict="regressed", **more):
    given = {"variant": "v", "target": "torch", "metric": "m", "value": "robust_error", "against": "baseline"}
    return Judgement(**{**given, "verdict": verdict, "because": "+6 points", "look": "crbench why v/torch/m", **more})


def comparison(*judgements, code=1, strict=False):
    return Comparison(
        suite="s",
        baseline="b",
        exit_code=code,
        strict=strict,
        closing="regression: 1 regressed",
        judgements=list(judgements),
    )


def printed(found):
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    render(found, console)
    console.file.close()
    return console.export_text()


def test_the_terminal_tells_everything_but_the_same_and_the_closing_line_last():
    found = comparison(judgement(), judgement("improved", variant="w"), judgement("same", variant="x"))
    lines = printed(found).splitlines()
    assert lines[0] == "s against b"
    assert lines[1] == "✗ regressed  v (torch): robust error: +6 points"
    assert lines[2].strip() == "crbench why v/torch/m"
    assert lines[3].startswith("▲ improved  w (torch)")
    assert lines[-1] == "regression: 1 regressed"
    assert "x (torch)" not in "".join(lines)


def test_gates_against_the_reference_pass_and_fail():
    text = printed(comparison(judgement(against="reference")))
    assert "✗ failed  v (torch): robust error, against the reference" in text


def test_names_cannot_leave_their_place():
    nasty = judgement(
        variant="a|b\n::error::<script>`x`\x1b[31m]]>&\x00", because="5 % | <b>", look="crbench why 'a|`b'"
    )
    found = comparison(nasty)
    (line,) = error_lines(found)
    assert line.count("::error") == 2  # its own, and one in the middle of the text where it means nothing
    assert "\n" not in line
    assert "5 %25" in line
    rows = [row for row in summary(found).splitlines() if row.startswith("| ✗")]
    assert len(rows) == 1
    assert "<script>" not in rows[0]
    assert rows[0].replace("\\|", "").count("|") == 5
    case = ET.fromstring(junit(found)).find(".//testcase")
    assert "<script>" in case.get("name")
    assert "\x1b" not in printed(found)


def test_a_summary_stays_below_the_limit_and_says_what_it_left_out():
    many = [judgement(variant=f"variant-{index}", because="x" * 300) for index in range(5000)]
    text = summary(comparison(*many))
    assert len(text.encode()) < 1_024_000
    shown = text.count("| ✗ regressed |")
    assert f"\n{5000 - shown} of 5000 rows are left out" in text
    same = [judgement("same", variant=f"v{'é' * 40}{index}") for index in range(20000)]
    text = summary(comparison(judgement(), *same))
    assert len(text.encode()) < 1_024_000
    assert "what stayed the same is left out" in text
    assert "2 the same: v \\(torch\\)" in summary(comparison(judgement("same"), judgement("same", target="edge")))


def test_junit_counts_what_it_holds():
    found = comparison(
        judgement(), judgement("errored"), judgement("missing"), judgement("missing", decides=False),
        judgement("inconclusive"), judgement("inconclusive", not_worse=True), judgement("improved"), judgement("same"),
    )  # fmt: skip
    suite = ET.fromstring(junit(found)).find("testsuite")
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["8", "2", "1", "2"]
    assert len(suite.findall("testcase/failure")) == 2
    assert suite.find("testcase/failure").text == "crbench why v/torch/m"
    strict = ET.fromstring(junit(found.model_copy(update={"strict": True}))).find("testsuite")
    assert [strict.get(name) for name in ("failures", "skipped")] == ["4", "0"]
    empty = ET.fromstring(junit(comparison(code=3))).find("testsuite")
    assert empty.get("errors") == "1"  # nothing judged is no green page


def test_error_lines_never_stay_silent_where_the_run_fails():
    assert error_lines(comparison(judgement("same"), code=3)) == ["::error title=s::regression: 1 regressed"]
    assert error_lines(comparison(judgement("same"), code=0)) == []
    assert error_lines(comparison(judgement("inconclusive"), code=0))[0].startswith("::warning")


@pytest.mark.parametrize(
    "word", ["regressed", "improved", "same", "inconclusive", "incomparable", "missing", "errored"]
)
def test_every_word_has_an_outcome_and_json_holds_it(word):
    (row,) = rows_of(comparison(judgement(word)))
    assert element_of(row) in ("", "failure", "error", "skipped")
    assert json.loads(comparison(judgement(word)).model_dump_json())["judgements"][0]["verdict"] == word


def test_several_gates_of_one_value_have_names_of_their_own():
    gates = [
        judgement(rule="max_harm", margin=0.03), judgement(rule="max_harm", margin=0.3),
        judgement(rule="min_value", margin=0.9), judgement(rule="min_value", margin=0.9),
        judgement(variant="w", rule="max_harm", margin=0.03),
    ]  # fmt: skip
    found = comparison(*gates)
    names = [case.get("name") for case in ET.fromstring(junit(found)).iter("testcase")]
    assert names == [
        "v (torch): robust error, max_harm 0.03", "v (torch): robust error, max_harm 0.3",
        "v (torch): robust error, min_value 0.9", "v (torch): robust error, min_value 0.9 (2)",
        "w (torch): robust error",
    ]  # fmt: skip
    assert "v (torch): robust error, max_harm 0.3: " in printed(found)


def ratio(variant, ci=None, **more):
    told = None if ci is None else (ci[0] is not None and ci[0] > 1) or (ci[1] is not None and ci[1] < 1)
    given = {"variant": variant, "target": "torch", "metric": "m", "value": "js", "told_apart": told, "ci": ci}
    return RunRatio(**{**given, **more})


def compared(*ratios):
    return comparison(judgement()).model_copy(update={"ratios": list(ratios)})


def test_how_far_each_variant_moved_stands_in_text_markdown_and_json():
    found = compared(
        ratio("a", (1.92, 2.83), ratio=2.31), ratio("b", (0.4, 0.6), ratio=0.49), ratio("c", (0.9, 1.2), ratio=1.04),
        ratio("d", (None, 0.312)), ratio("e", reason="not in the earlier run"),
        ratio("f", reason="not in the earlier run"), ratio("g", (1.0, 1.0), ratio=1.0, unchanged=True),
        ratio("h|*", (1.0, 1.1), ratio=1.02),
    )  # fmt: skip
    said = [line.sentence for line in ratio_lines(found)]
    assert said == [
        "a (torch): Jensen-Shannon divergence moved 2.31 [1.92, 2.83] times as far as before",
        "b (torch): Jensen-Shannon divergence moved 0.49 [0.40, 0.60] times as far as before",
        "c (torch): Jensen-Shannon divergence cannot be told apart from before: 1.04 [0.90, 1.20]",
        "d (torch): Jensen-Shannon divergence moved at most 0.32 times as far as before",
        "h|* (torch): Jensen-Shannon divergence cannot be told apart from before: 1.02 [1.00, 1.10]",
        "no ratio of e (torch): Jensen-Shannon divergence; f (torch): Jensen-Shannon divergence: "
        "not in the earlier run",
        "1 the same measurement as before",
    ]
    text = printed(found)
    assert all(f"  {sentence}" in text for sentence in said)
    assert text.splitlines()[-1] == "regression: 1 regressed"
    page = summary(found)
    assert page.count("\n- ") == len(said)
    assert r"h\|\*" in page
    assert json.loads(found.model_dump_json())["ratios"][0]["ci"] == [1.92, 2.83]


def test_the_page_of_a_run_tells_which_neighbours_can_be_told_apart(sample_run, empty_run):
    page = summary(comparison(judgement()), results=sample_run)
    assert page.count("<details>") == page.count("</details>") == 1
    sentences = [line.sentence for group in board_text(leaderboard(sample_run)).ratios for line in group.lines]
    assert page.count("\n- ") == len(sentences)
    assert all(f"- {escape(sentence)}\n" in page for sentence in sentences)
    assert summary(comparison(judgement()), results=empty_run) == summary(comparison(judgement()))


def test_without_ratios_nothing_is_said():
    assert RATIOS not in printed(comparison(judgement()))
    assert "moved" not in summary(comparison(judgement()))


def test_ratios_that_would_make_a_page_too_long_are_left_out_and_that_is_said():
    found = compared(*(ratio(f"v{index}", (1.5, 2.5), ratio=2.0) for index in range(100)))
    short = summary(found, limit=4000)
    assert len(short.encode()) <= 4000
    assert "How far each variant moved is left out" in short
    assert summary(found).count("times as far as before") == 100
