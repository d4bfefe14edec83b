"""``gate``, ``compare`` and ``baseline accept`` on the tiny suite, as a user runs them."""

import json
import shutil
import xml.etree.ElementTree as ET

import pytest

RUN = "reports/tiny"
BASELINE = "reports/baselines/tiny.json"


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


@pytest.mark.parametrize(
    ("damage", "arguments", "message"),
    [
        (lambda f: (f / RUN / "arrays.npz").unlink(), ("gate", RUN, "--baseline", BASELINE), "paired tests need it"),
        (lambda f: (f / RUN / "results.json").write_text("{"), ("gate", RUN), "cut short"),
        (lambda f: (f / BASELINE).write_text("{"), ("gate", RUN, "--baseline", BASELINE), "cut short"),
        (lambda f: (f / BASELINE).unlink(), ("gate", RUN, "--baseline", BASELINE), "No such file"),
        (
            lambda f: (f / BASELINE).write_text(
                (f / BASELINE).read_text().replace('"suite": "tiny"', '"suite": "big"')
            ),
            ("gate", RUN, "--baseline", BASELINE),
            "the baseline is of the suite 'big'",
        ),
        (lambda f: None, ("gate", "nowhere"), "No such file"),
        (
            lambda f: (f / RUN / "results.json").write_text(
                (f / RUN / "results.json").read_text().replace('"name": "tiny"', '"name": "../x"', 1)
            ),
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
    file.write_text(json.dumps(content))
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
    file.write_text(file.read_text().replace('"name": "tiny"', '"name": "big"', 1))
    assert measured.run("compare", RUN, "other") == 2
    assert "runs of two suites" in capsys.readouterr().err
