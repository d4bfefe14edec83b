"""``gate``, ``compare`` and ``baseline accept`` on the tiny suite, as a user runs them."""

import importlib
import json
import re
import shlex
import shutil
import sys
import xml.etree.ElementTree as ET

import pytest

from bench.store.checksums import sealed

RUN = "reports/tiny"
BASELINE = "reports/baselines/tiny.json"
ARRAYS = "reports/baselines/tiny.npz"


@pytest.fixture
def accepted(measured):
    assert measured.run("baseline", "accept", RUN) == 0
    return measured


def rerun(handle, old="", new=""):
    handle.write(old, new)
    assert handle.run("run", "tiny.toml", "--quiet", "--out", "after") == 0


def test_accept_then_gate_passes_and_a_worse_variant_is_a_regression(accepted, capsys):
    handle = accepted
    assert len(json.loads((handle.folder / BASELINE).read_text())["cells"]) == 3
    assert handle.run("gate", RUN, "--baseline", BASELINE) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[-1] == "passed: 3 same"
    rerun(handle, "sigma = 0.3", "sigma = 3.0")
    before = (handle.folder / BASELINE).read_bytes()
    code = handle.run("gate", "after", "--baseline", BASELINE, "--markdown", "s.md", "--junit", "j.xml", "--github")
    shown = capsys.readouterr().out
    assert code == 1
    assert "regressed  noise (torch): accuracy" in shown
    assert "::error title=tiny::noise (torch): accuracy: regressed" in shown
    assert "crbench why noise/torch/fidelity.accuracy --suite tiny.toml" in shown
    assert shown.splitlines()[-1].startswith("regression: ")
    assert "## tiny: regression" in (handle.folder / "s.md").read_text()
    assert ET.parse(handle.folder / "j.xml").getroot().find("testsuite").get("failures") != "0"
    assert (handle.folder / BASELINE).read_bytes() == before  # only accept changes it
    assert handle.run("compare", RUN, "after", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["exit_code"] == 1
    assert {item["verdict"] for item in found["judgements"]} >= {"regressed", "same"}
    assert handle.run("baseline", "accept", "after") == 0
    assert "2 changed" in capsys.readouterr().out
    assert handle.run("gate", "after", "--baseline", BASELINE, "--quiet") == 1  # drift from the first
    assert handle.run("baseline", "accept", "after", "--restart") == 0
    assert handle.run("gate", "after", "--baseline", BASELINE, "--quiet") == 0


def test_gate_without_a_baseline_asks_about_the_reference(measured, capsys):
    assert measured.run("gate", RUN) == 0
    assert "passed: 3 same" in capsys.readouterr().out
    rerun(measured, 'gate = [{ value = "accuracy", max_harm = 0.5 }]')
    assert measured.run("gate", "after") == 3  # a gate that looked at nothing


def test_a_dropped_variant_is_incomplete(accepted, capsys):
    text = accepted.text
    start = text.index("[[variant]]")
    (accepted.folder / "tiny.toml").write_text(text[:start] + text[text.index("[[variant]]", start + 1) :])
    assert accepted.run("run", "tiny.toml", "--quiet", "--out", "after") == 0
    assert accepted.run("gate", "after", "--baseline", BASELINE) == 3
    assert "missing  noise (torch): accuracy: in the baseline, not in this run" in capsys.readouterr().out


def test_another_reference_is_incomparable(accepted, capsys):
    rerun(accepted, "epochs = 4", "epochs = 5")
    assert accepted.run("gate", "after", "--baseline", BASELINE) == 3
    assert "incomparable  int8 (edge): accuracy: cannot be compared: another value of the reference" in (
        capsys.readouterr().out
    )


def test_per_class_gates_and_margins_are_part_of_a_suite(measured, capsys):
    gates = '{ value = "accuracy", max_harm = 0.5, per = "class", margin = 0.1 }'
    rerun(measured, '{ value = "accuracy", max_harm = 0.5 }', gates)
    found = json.loads((measured.folder / "after" / "results.json").read_text())
    (gate,) = found["cells"][1]["values"]["accuracy"]["gates"]
    assert (gate["per"], gate["margin"]) == ("class", 0.1)
    assert "per class" in gate["because"]
    for wrong, message in (
        ('{ value = "js", max_gap = 1, per = "class" }', "a class has too few samples for a gap"),
        ('{ value = "js", max_change = 1, per = "variant" }', "metric[0].gate[0].per"),
    ):
        measured.write('use = "fidelity.predictions"', f'use = "fidelity.predictions"\ngate = [{wrong}]')
        assert measured.run("check", "tiny.toml") == 2
        assert message in capsys.readouterr().err


def edited(file, old, new):
    """Another document, whole in itself."""
    file.write_text(json.dumps(sealed(json.loads(file.read_text().replace(old, new, 1)))))


def test_a_changed_number_is_seen(accepted, capsys):
    for file, command in ((f"{RUN}/results.json", ("gate", RUN)), (BASELINE, ("gate", RUN, "--baseline", BASELINE))):
        path = accepted.folder / file
        text = path.read_text()
        old = next(word for word in text.split() if word.startswith("0.") and len(word) > 5)
        path.write_text(text.replace(old, old[:2] + ("1" if old[2] != "1" else "2") + old[3:], 1))
        assert accepted.run(*command) == 2
        assert "its checksum does not fit" in capsys.readouterr().err
        content = json.loads(text)
        del content["sha256"]
        path.write_text(json.dumps(content))
        assert accepted.run(*command) == 2  # neither is ever read unchecked
        assert "checksum" in capsys.readouterr().err
        path.write_text(text)


@pytest.mark.parametrize(
    "road",
    [
        ("gate", RUN),
        ("gate", RUN, "--baseline", BASELINE),
        ("compare", RUN, "whole"),
        ("compare", "whole", RUN),
        ("baseline", "accept", RUN, "--restart"),
    ],
)
def test_results_that_lost_their_checksum_are_refused_on_every_road(accepted, capsys, road):
    shutil.copytree(accepted.folder / RUN, accepted.folder / "whole")
    assert accepted.run(*road) == 0
    file = accepted.folder / RUN / "results.json"
    content = json.loads(file.read_text())
    del content["sha256"]
    file.write_text(json.dumps(content, indent=1))
    capsys.readouterr()
    assert accepted.run(*road) == 2
    shown = capsys.readouterr().err
    assert f"{file.relative_to(accepted.folder)}: it holds no checksum" in shown
    assert "measure again: crbench run tiny.toml" in shown


def test_an_old_baseline_is_renewed_by_the_command_that_its_refusal_names(accepted, capsys):
    file = accepted.folder / BASELINE
    file.write_text(json.dumps({"crbench_baseline": 1, "suite": "tiny", "cells": []}))
    for command in (("gate", RUN, "--baseline", BASELINE), ("baseline", "accept", RUN)):
        assert accepted.run(*command) == 2
        said = capsys.readouterr().err
        assert "a baseline of version 1, this program reads 2; renew it: crbench " in said
    assert accepted.run("baseline", *shlex.split(said.rpartition("crbench baseline ")[2])) == 0
    assert accepted.run("gate", RUN, "--baseline", BASELINE) == 0


@pytest.mark.parametrize(
    ("damage", "arguments", "message"),
    [
        (lambda f: (f / RUN / "arrays.npz").unlink(), ("gate", RUN, "--baseline", BASELINE), "paired tests need it"),
        (lambda f: (f / RUN / "results.json").write_text("{"), ("gate", RUN), "cut short"),
        (lambda f: (f / BASELINE).write_text("{"), ("gate", RUN, "--baseline", BASELINE), "cut short"),
        (lambda f: (f / BASELINE).unlink(), ("gate", RUN, "--baseline", BASELINE), "No such file"),
        (lambda f: (f / ARRAYS).unlink(), ("gate", RUN, "--baseline", BASELINE), "take both files"),
        (lambda f: (f / ARRAYS).write_bytes(b"PK"), ("gate", RUN, "--baseline", BASELINE), "arrays of another run"),
        (
            lambda f: edited(f / BASELINE, '"suite": "tiny"', '"suite": "big"'),
            ("gate", RUN, "--baseline", BASELINE),
            "the baseline is of the suite 'big'",
        ),
        (lambda f: None, ("gate", "nowhere"), "No such file"),
        (
            lambda f: edited(f / RUN / "results.json", '"name": "tiny"', '"name": "../x"'),
            ("baseline", "accept", RUN),
            "names no file",
        ),
    ],
)
def test_bad_input_exits_2_in_one_line(accepted, capsys, damage, arguments, message):
    damage(accepted.folder)
    assert accepted.run(*arguments) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert len(shown.splitlines()) == 1


def test_an_errored_run_is_neither_accepted_nor_passed(accepted, capsys):
    file = accepted.folder / RUN / "results.json"
    content = json.loads(file.read_text())
    content["cells"][0] |= {"status": "error", "reason": "no memory", "values": {}}
    file.write_text(json.dumps(sealed(content)))
    assert accepted.run("gate", RUN, "--baseline", BASELINE, "--quiet") == 3
    before = (accepted.folder / BASELINE).read_bytes()
    assert accepted.run("baseline", "accept", RUN) == 3
    assert "not accepted, the run is incomplete" in capsys.readouterr().err
    assert (accepted.folder / BASELINE).read_bytes() == before


def test_check_tells_what_gates_can_see(measured, capsys):
    assert measured.run("check", "tiny.toml") == 0
    assert "fidelity.accuracy accuracy max_harm 0.5: n = 150 finds a harm of" in capsys.readouterr().out
    measured.write("max_harm = 0.5", "max_harm = 0.001")
    assert measured.run("check", "tiny.toml") == 0
    assert "warning: blind gate: fidelity.accuracy accuracy max_harm 0.001" in capsys.readouterr().out


def test_runs_of_two_suites_are_not_compared(measured, capsys):
    shutil.copytree(measured.folder / RUN, measured.folder / "other")
    file = measured.folder / "other" / "results.json"
    edited(file, '"name": "tiny"', '"name": "big"')
    assert measured.run("compare", RUN, "other") == 2
    assert "runs of two suites" in capsys.readouterr().err


PICKY = """
from bench.errors import NotApplicable
from bench.metrics.fidelity.accuracy import Accuracy
from bench.probes.logits import Logits
from bench.registry import parameters

WHEN = "False"

@parameters
class PickyLogits(Logits):
    name = "picky-logits"

    def ask(self, predictor, samples, context):
        if eval(WHEN):
            raise NotApplicable("no figure of 7 here")
        return super().ask(predictor, samples, context)

@parameters
class Picky(Accuracy):
    strength: float = 0.5
    probes = (PickyLogits(),)
"""
GATED = '\n[[metric]]\nuse = "MODULE:Picky"\nstrength = 1.0\ngate = [{ value = "accuracy", max_harm = 0.5 }]\n'


def picky(handle, name, when, version=1, extra=""):  # each test's module has a name of its own: imports are kept
    """The tiny suite with a gated metric of the user's own that has no meaning ``when``, run into a folder."""
    (handle.folder / f"{name}.py").write_text(PICKY)
    sys.path.insert(0, str(handle.folder))
    module = importlib.import_module(name)
    sys.path.remove(str(handle.folder))
    module.WHEN, module.PickyLogits.version = when, version
    text = extra + handle.text + GATED.replace("MODULE", name)
    (handle.folder / "tiny.toml").write_text(text)
    return handle.run("run", "tiny.toml", "--quiet", "--gate", "--out", "after")


def test_a_gated_skip_exits_3_until_the_suite_accepts_it_by_name(measured, capsys):
    skips = 'predictor.spec.target.name == "edge"'
    assert picky(measured, "picky_one", skips) == 3
    assert measured.run("gate", "after") == 3
    shown = capsys.readouterr().out
    assert "missing  int8 (edge): accuracy" in shown
    assert "skipped: variant: no figure of 7 here" in shown
    assert "not_applicable in the suite, or crbench baseline accept" in shown.splitlines()[-1]
    for pattern in ("*/edge/picky_one:Picky", "*/edge/*strength=1.0*"):
        assert picky(measured, "picky_one", skips, extra=f'not_applicable = ["{pattern}"]\n') == 0, pattern
        for strict in ((), ("--strict",)):
            assert measured.run("gate", "after", *strict) == 0
        assert "2 accepted, 4 same" in capsys.readouterr().out
    assert picky(measured, "picky_one", skips, extra='not_applicable = ["int8", "nois"]\n') == 3  # noise on edge
    (warning,) = json.loads((measured.folder / "after" / "results.json").read_text())["run"]["warnings"]
    assert warning.startswith("not_applicable: 'nois' matches no cell, a cell is such as noise/torch/")
    assert measured.run("check", "tiny.toml") == 0
    assert f"warning: {warning}" in capsys.readouterr().out


def test_a_baseline_keeps_the_skips_that_it_accepts_and_covers_no_error(measured, capsys):
    skips = 'predictor.spec.target.name == "edge"'
    picky(measured, "picky_two", skips)
    assert measured.run("baseline", "accept", "after") == 0
    shown = capsys.readouterr().out
    assert "accepted as skipped: int8/edge/picky_two:Picky[strength=1.0]: variant: no figure of 7 here" in shown
    assert ", 2 accepted as skipped" in shown.splitlines()[-1]
    for strict in ((), ("--strict",)):
        assert measured.run("gate", "after", "--baseline", BASELINE, *strict) == 0
        assert "passed: 2 accepted, 4 same" in capsys.readouterr().out
        assert measured.run("compare", "after", "after", *strict) == 0
    assert measured.run("gate", "after") == 3  # without the baseline nothing accepts it
    assert picky(measured, "picky_two", f"{skips} and 1 / 0", 2) == 3
    assert measured.run("gate", "after", "--baseline", BASELINE) == 3
    assert "errored" in capsys.readouterr().out
    assert measured.run("baseline", "accept", "after") == 3


def test_a_quiet_run_says_in_one_line_why_it_does_not_exit_0(measured, capsys):
    def said(*arguments):
        capsys.readouterr()
        code = measured.run("run", "tiny.toml", "--quiet", "--out", "after", *arguments)
        shown = capsys.readouterr()
        assert shown.out == ""
        return code, shown.err

    assert said("--gate") == (0, "")
    line = "crbench: incomplete: 2 gated cells were left out by --only or --shard: noise (torch, edge)\n"
    assert said("--gate", "--only", "int8") == (3, line)
    measured.write("max_harm = 0.5", "max_harm = 0.001")
    measured.write("sigma = 0.3", "sigma = 3.0", text=(measured.folder / "tiny.toml").read_text())
    code, line = said("--gate")
    assert code == 1
    assert re.fullmatch(
        r"crbench: regression: noise \(torch\): accuracy \+.* points .*, tolerance 0.1 and 1 more\n", line
    )
    assert said()[0] == 0  # without --gate nothing is judged
    measured.write('gate = [{ value = "accuracy", max_harm = 0.5 }]', "")
    assert said("--gate") == (3, "crbench: incomplete: no gate was set: --gate looked at nothing\n")
    measured.write("sigma = 0.3", "sigma = 0.31")
    code, line = said("--rerun", "never")
    assert code == 3
    assert line.startswith("crbench: incomplete: noise (torch) fidelity.predictions: not measured: --rerun never and ")
    assert len(line.splitlines()) == 1


def test_a_part_of_a_run_is_never_green_about_the_rest(measured, capsys):
    part = ("run", "tiny.toml", "--quiet", "--out", "part")
    assert measured.run(*part, "--only", "int8") == 0
    assert measured.run("gate", "part") == 3
    shown = capsys.readouterr().out
    assert "2 gated cells were left out by --only or --shard: noise (torch, edge)" in shown.splitlines()[-1]
    assert measured.run(*part, "--only", "int8", "--gate") == 3
    assert measured.run("baseline", "accept", "part") == 0
    assert measured.run("gate", "part", "--baseline", BASELINE) == 3  # nor beside a baseline of the same part
    capsys.readouterr()
    assert measured.run("compare", "part", "part") == 0  # neither holds it
    assert measured.run(*part, "--only", "*/fidelity.accuracy", "--gate") == 0  # every gate
    held = []
    for shard in ("1/2", "2/2"):
        assert measured.run(*part, "--shard", shard) == 0
        found = json.loads((measured.folder / "part" / "results.json").read_text())
        held += found["left_out"]
        assert measured.run("gate", "part") == (3 if found["left_out"] else 0)
    assert sorted(cell["label"] for cell in held) == [
        f"{place}/fidelity.accuracy" for place in ("int8/edge", "noise/edge", "noise/torch")
    ]
    assert measured.run("run", "tiny.toml", "--quiet", "--out", "whole", "--gate") == 0
    assert json.loads((measured.folder / "whole" / "results.json").read_text())["left_out"] == []


def test_compare_tells_how_far_each_variant_moved_beside_before(measured, capsys):
    assert measured.run("compare", RUN, RUN, "--json") == 0
    ratios = json.loads(capsys.readouterr().out)["ratios"]
    js = {(item["variant"], item["target"]): item for item in ratios if item["value"] == "js"}
    assert {place: (item["ratio"], item["unchanged"]) for place, item in js.items()} == dict.fromkeys(
        [("noise", "torch"), ("noise", "edge"), ("int8", "edge")], (1.0, True)
    )
    rerun(measured, "sigma = 0.3", "sigma = 0.6")
    code = measured.run("compare", RUN, "after", "--json", "--markdown", "s.md")
    found = json.loads(capsys.readouterr().out)
    place = ("noise", "torch", "fidelity.predictions")

    def of_noise(cells):
        (found,) = [cell for cell in cells if (cell["variant"], cell["target"], cell["metric"]) == place]
        return found

    noise = of_noise(found["ratios"])
    paths = [measured.folder / run / "results.json" for run in (RUN, "after")]
    before, after = (of_noise(json.loads(path.read_text())["cells"])["values"]["js"] for path in paths)
    assert noise["ratio"] == pytest.approx((after["estimate"] / before["estimate"]) ** 0.5)
    assert noise["told_apart"] is True
    assert noise["ci"][0] > 1
    assert "Jensen-Shannon divergence moved " in (measured.folder / "s.md").read_text()
    assert code == measured.run("compare", RUN, "after")
    shown = capsys.readouterr().out
    assert "noise (torch): Jensen-Shannon divergence moved " in shown
    assert "the same measurement as before" in shown
