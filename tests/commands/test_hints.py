"""Every command that is printed as a hint runs as it is printed, from the folder where it was printed."""

import json
import re
import shlex

import pytest

from bench.cli import run_cli
from bench.commands import registered
from bench.errors import UserError
from bench.suite import registered_names
from bench.suite.given_metric import parse_metric

GATED_ATTACK = 'epsilon = 0.05\nsteps = 3\ngate = [{ value = "robust_error", max_harm = 0.05 }]\n'


def hints(text):
    """Every command in a text, as a shell would read it."""
    return [shlex.split(line.strip().strip("|`").strip()) for line in re.findall(r"crbench (?:why|run) [^\n`]+", text)]


def follow(text, at_least=1):
    """Run every hint."""
    found = hints(text)
    assert len(found) >= at_least, text
    for command, *arguments in found:
        assert command == "crbench"
        more = ["--out", "hinted", "--quiet"] if arguments[0] == "run" else []
        assert run_cli([*arguments, *more]) in (0, 1, 3), arguments
    return found


@pytest.fixture
def nested(measured):
    """The tiny suite in a folder of suites, with a gated attack whose label has brackets, measured and accepted."""
    (measured.folder / "suites").mkdir()
    path = measured.folder / "suites" / "tiny.toml"
    path.write_text(measured.text.replace("epsilon = 0.05\nsteps = 3\n", GATED_ATTACK))
    (measured.folder / "tiny.toml").unlink()
    assert measured.run("run", "suites/tiny.toml", "--quiet") == 0
    assert measured.run("baseline", "accept", "reports/tiny") == 0
    return path


def test_hints_of_a_gate_run_as_printed(nested, measured, capsys):
    nested.write_text(nested.read_text().replace("sigma = 0.3", "sigma = 3.0"))
    assert measured.run("run", "suites/tiny.toml", "--quiet", "--out", "after") == 0
    capsys.readouterr()
    for more in ((), ("--baseline", "reports/baselines/tiny.json")):
        assert measured.run("gate", "after", *more, "--markdown", "summary.md") == 1
        found = follow(capsys.readouterr().out, 2)
        assert all(command[-2:] == ["--suite", "suites/tiny.toml"] for command in found)
        assert any("adversarial.pgd[epsilon=0.05,steps=3]" in command[2] for command in found)
        follow((measured.folder / "summary.md").read_text(), 2)
        capsys.readouterr()


def test_hints_of_what_a_part_lacks_run_as_printed(nested, measured, capsys):
    assert measured.run("run", "suites/tiny.toml", "--quiet", "--out", "part", "--only", "int8") == 0
    assert measured.run("gate", "part", "--baseline", "reports/baselines/tiny.json") == 3
    found = follow(capsys.readouterr().out, 4)
    assert ["crbench", "run", "suites/tiny.toml", "--only", "noise/edge/adversarial.pgd[epsilon=0.05,steps=3]"] in found
    measured_now = json.loads((measured.folder / "hinted" / "results.json").read_text())["cells"]
    assert len(measured_now) == 1  # the one cell that was named


def test_what_the_suite_has_no_more_gets_no_hint(nested, measured, capsys):
    text = nested.read_text()
    start = text.index("[[variant]]")
    nested.write_text(text[:start] + text[text.index("[[variant]]", start + 1) :])
    assert measured.run("run", "suites/tiny.toml", "--quiet", "--out", "after") == 0
    assert measured.run("gate", "after", "--baseline", "reports/baselines/tiny.json") == 3
    assert hints(capsys.readouterr().out) == []


def test_a_downloaded_run_has_hints_only_where_its_suite_is(nested, measured, tmp_path, monkeypatch, capsys):
    nested.write_text(nested.read_text().replace("sigma = 0.3", "sigma = 3.0"))
    assert measured.run("run", str(nested), "--quiet", "--out", "after") == 0  # an absolute path
    results = (measured.folder / "after" / "results.json").read_text()
    assert json.loads(results)["suite"]["path"] == "suites/tiny.toml"
    assert str(measured.folder) not in results
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert run_cli(["gate", "../after"]) == 1
    assert hints(capsys.readouterr().out) == []
    (elsewhere / "tiny.toml").write_text(nested.read_text().replace('name = "tiny"', 'name = "other"'))
    assert run_cli(["gate", "../after"]) == 1
    assert hints(capsys.readouterr().out) == []  # a file of that name that is another suite
    (elsewhere / "tiny.toml").write_text(nested.read_text())
    assert run_cli(["gate", "../after"]) == 1
    assert {command[-1] for command in hints(capsys.readouterr().out)} == {"tiny.toml"}
    assert run_cli(["run", str(nested), "--quiet", "--out", "after", "--store", str(measured.folder / ".crbench")]) == 0
    results = (elsewhere / "after" / "results.json").read_text()
    assert json.loads(results)["suite"]["path"] == "tiny.toml"  # no machine's path
    assert str(measured.folder) not in results


def test_the_description_that_a_mistake_names_can_be_read(measured, capsys):
    (measured.folder / "described_metric.py").write_text(
        "from bench.metrics.fidelity.accuracy import Accuracy\n"
        "from bench.registry import parameters\n"
        "@parameters\nclass Mine(Accuracy):\n    strength: float = 0.5\n"
    )
    for given in ("described_metric:Mine[strength=[1]]", "adversarial.pgd[epsilon=-1]"):
        with pytest.raises(UserError) as caught:
            parse_metric(given)
        (hint,) = re.findall(r"crbench describe (\S+)", str(caught.value))
        assert run_cli(["describe", hint]) == 0
        assert "parameters:" in capsys.readouterr().out
    assert run_cli(["describe", "described_metric:Accuracy"]) == 0
    assert run_cli(["describe", "described_metric:parameters"]) == 2
    assert "is no metric, probe, attack, step, model, method, loader, source or runtime" in capsys.readouterr().err


def test_every_kind_can_be_listed(capsys):
    assert set(registered.KINDS) == set(registered_names.KINDS)
    for kind in registered.KINDS:
        assert run_cli(["list", kind]) == 0
        assert len(capsys.readouterr().out.splitlines()) == len(registered_names.KINDS[kind].names())
