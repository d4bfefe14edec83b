import json

import numpy as np
import pytest

from bench.errors import UserError
from bench.gate import OldBaseline, accept, baseline_of, judge_baseline, load_baseline, write_baseline
from bench.results import GateResult, ValueResult
from bench.stats.streams import generator
from bench.store.checksums import sealed, sha256


def test_it_is_sorted_text_that_comes_back_as_it_was(make, tmp_path):
    random = generator("baseline")
    run = make().add(random.normal(0, 1, 300), form="mean", variant="b").add(random.random(300) < 0.1, variant="a")
    made = baseline_of(*run.run())
    file = tmp_path / "deep" / "b.json"
    size = write_baseline(made, file)
    text, arrays = file.read_text(), file.with_suffix(".npz").read_bytes()
    assert size == len(text) + len(arrays)
    assert sorted(path.name for path in file.parent.iterdir()) == ["b.json", "b.npz"]
    assert load_baseline(file) == made
    assert [cell.variant for cell in made.cells] == ["a", "b"]
    write_baseline(load_baseline(file), file)
    assert (file.read_text(), file.with_suffix(".npz").read_bytes()) == (text, arrays)
    content = json.loads(text)
    assert text == json.dumps(content, indent=1, sort_keys=True) + "\n"  # diffable: sorted, one value a line
    assert max(map(len, text.splitlines())) < 120
    assert str(tmp_path) not in text


def test_order_of_cells_does_not_matter(make, outcomes):
    first = make().add(outcomes(3), variant="a").add(outcomes(5), variant="b")
    second = make().add(outcomes(5), variant="b").add(outcomes(3), variant="a")
    assert baseline_of(*first.run()) == baseline_of(*second.run())


def test_timings_are_kept_only_when_asked_for(make, outcomes):
    run = make().add(outcomes(3)).add(np.ones(9), variant="t", form="timing", reference=np.ones(9), gates=[])
    assert [cell.variant for cell in baseline_of(*run.run()).cells] == ["v"]
    with_timings = baseline_of(*run.run(), timings=True)
    assert [cell.variant for cell in with_timings.cells] == ["t", "v"]
    assert judge_baseline(*run.run(), with_timings, timings=False)[0].variant == "v"


def test_accept_counts_and_says_what_it_changes(make, outcomes):
    first = accept(*make().add(outcomes(3), variant="a").add(outcomes(3), variant="b").run())
    assert (len(first.added), first.baseline.accepted, first.baseline.first) == (2, 1, [])
    second = accept(
        *make().add(outcomes(3), variant="a").add(outcomes(9), variant="c").run(), first.baseline
    )  # fmt: skip
    assert [second.added, second.changed, second.removed] == [["c/torch/made.up"], [], ["b/torch/made.up"]]
    assert [cell.accepted for cell in second.baseline.cells] == [1, 2]
    third = accept(*make(key="2").add(outcomes(7), variant="a").run(), second.baseline)
    assert third.changed == ["a/torch/made.up"]
    (was,) = third.baseline.first
    assert (was.accepted, was.values["figure"].figure) == (1, pytest.approx(3 / 200))
    fourth = accept(*make(key="3").add(outcomes(8), variant="a").run(), third.baseline)
    assert fourth.baseline.first == third.baseline.first  # the first stays the first


def test_skips_are_accepted_by_name_and_kept(make, outcomes, tmp_path):
    run = make().add(outcomes(3)).add(outcomes(3), variant="s", status="skipped", reason="no gradient")
    plain = accept(*run.run())
    assert (plain.skipped, plain.baseline.skipped) == ([], [])  # nothing gates it
    gate = GateResult(rule="max_harm", tolerance=0.1, verdict="inconclusive", because="x", looked=False)
    run.cells[-1].values["figure"] = ValueResult(kind="quality", gates=[gate])
    found = accept(*run.run(), plain.baseline)
    assert found.skipped == ["s/torch/made.up: no gradient"]
    write_baseline(found.baseline, tmp_path / "b.json")
    (kept,) = load_baseline(tmp_path / "b.json").skipped
    assert (kept.variant, kept.reason, kept.values) == ("s", "no gradient", ["figure"])
    gate.verdict = "accepted"  # the suite accepts it: the baseline need not
    assert accept(*run.run()).skipped == []


def test_drift_starts_anew_where_the_first_can_no_longer_be_compared(make, outcomes):
    first = accept(*make().add(outcomes(3)).run()).baseline
    second = accept(*make(key="2", reference="q" * 64).add(outcomes(3)).run(), first).baseline
    assert second.first == []


def test_nothing_to_accept_and_another_suite_are_mistakes(make, outcomes):
    with pytest.raises(UserError, match="no gated value was measured"):
        accept(*make().run())
    other = baseline_of(*make(suite="other").add(outcomes(3)).run())
    with pytest.raises(UserError, match="'other'"):
        judge_baseline(*make().add(outcomes(3)).run(), other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-40], "cut short"),
        (lambda text: "[]", "is no baseline"),
        (lambda text: text.replace('"crbench_baseline": 2', '"crbench_baseline": true'), "is no baseline"),
        (
            lambda text: text.replace('"crbench_baseline": 2', '"crbench_baseline": 3'),
            "version 3, this program reads 2",
        ),
        (lambda text: text.replace('"n": 200', '"n": "many"'), "cells.0.n"),
        (lambda text: text.replace('"figure": 0.015', '"figure": 0.016'), "its checksum does not fit"),
        (lambda text: text.replace('"sha256"', '"sha255"'), "sha255"),
        (lambda text: text.replace('"suite"', '"suit"'), "suit"),
        (lambda text: "[" * 100_000, "cut short"),
        (lambda text: resealed(text, n=100), "made.up: arrays of another baseline"),
        (lambda text: resealed(text, key="other"), "made.up: arrays of another baseline"),
        (lambda text: resealed(text, variant="other"), "made.up: arrays of another baseline"),
        (
            lambda text: text.replace('"figure": {', '"\\u001b[31m": {').replace('"arrays": "', '"array": "'),
            r"values\. \[31m\.",
        ),
    ],
)
def test_a_bad_file_is_refused_in_one_line(make, outcomes, tmp_path, change, message):
    file = tmp_path / "b.json"
    write_baseline(baseline_of(*make().add(outcomes(3)).run()), file)
    text = file.read_text()
    assert change(text) != text
    file.write_text(change(text))
    with pytest.raises(UserError, match=message) as caught:
        load_baseline(file)
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(UserError, match="No such file"):
        load_baseline(tmp_path / "absent.json")


def resealed(text, **changes):
    """The first cell with other content, and a checksum that fits."""
    content = json.loads(text)
    content["cells"][0] |= changes
    return json.dumps(sealed(content))


def test_arrays_must_be_those_that_were_written_with_the_figures(make, outcomes, tmp_path):
    file, arrays = tmp_path / "b.json", tmp_path / "b.npz"
    write_baseline(baseline_of(*make().add(outcomes(3)).run()), file)
    mine = arrays.read_bytes()
    write_baseline(baseline_of(*make().add(outcomes(4)).run()), tmp_path / "c.json")
    for content, said in ((mine[:-30], "arrays of another"), ((tmp_path / "c.npz").read_bytes(), "arrays of another")):
        arrays.write_bytes(content)
        with pytest.raises(UserError, match=said) as caught:
            load_baseline(file)
        assert "take both files from version control again" in str(caught.value)
    arrays.unlink()
    with pytest.raises(UserError, match="No such file") as caught:
        load_baseline(file)
    arrays.write_bytes(mine)
    assert load_baseline(file).cells[0].values["figure"].samples.variant["x"].sum() == 3


def test_one_other_outcome_is_another_measurement(make, outcomes, tmp_path):
    """The same figure of other samples: the file changes, so that a diff shows it."""
    first, second = outcomes(3), outcomes(3)[::-1]
    texts = []
    for x in (first, second):
        write_baseline(baseline_of(*make().add(x).run()), tmp_path / "b.json")
        texts.append((tmp_path / "b.json").read_text().splitlines())
    changed = [one.split(":")[0].strip() for one, other in zip(*texts, strict=True) if one != other]
    assert changed == ['"arrays_sha256"', '"arrays"', '"sha256"']


@pytest.mark.parametrize(("suite", "run"), [("s", "reports/s"), ("my suite", "'reports/my suite'"), (None, "RUN")])
def test_an_old_baseline_is_refused_with_the_command_that_renews_it(tmp_path, suite, run):
    file = tmp_path / "b.json"
    file.write_text(json.dumps({"crbench_baseline": 1, "suite": suite, "cells": []}))
    with pytest.raises(OldBaseline) as caught:
        load_baseline(file)
    (problem,) = caught.value.problems
    assert problem.what == "a baseline of version 1, this program reads 2"
    assert problem.right == f"renew it: crbench baseline accept {run} --restart -o {file}"


def test_names_with_slashes_and_control_characters_stay_apart(make, outcomes, tmp_path):
    run = make().add(outcomes(3), variant="a/b", target="c").add(outcomes(90), variant="a", target="b/c")
    run.add(outcomes(3), variant="x\n\x1b[31m", target="c")
    made = baseline_of(*run.run())
    write_baseline(made, tmp_path / "b.json")
    found = judge_baseline(*run.run(), load_baseline(tmp_path / "b.json"))
    assert [item.verdict for item in found] == ["same"] * 3
    assert "\n" not in "".join(item.look + item.because for item in found)


def test_arrays_of_another_value_are_refused_though_every_checksum_fits(make, outcomes, tmp_path):
    file = tmp_path / "b.json"
    write_baseline(baseline_of(*make().add(outcomes(4)).run()), file)
    other = (tmp_path / "b.npz").read_bytes()
    write_baseline(baseline_of(*make().add(outcomes(3)).run()), file)
    (tmp_path / "b.npz").write_bytes(other)
    file.write_text(json.dumps(sealed(json.loads(file.read_text()) | {"arrays_sha256": sha256(other)})))
    with pytest.raises(UserError, match=r"made\.up: its arrays are others than it was made of"):
        load_baseline(file)
