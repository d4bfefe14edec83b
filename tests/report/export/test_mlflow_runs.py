"""What ``--to mlflow`` would send, without MLflow: every figure by a name that it takes, and reasons, never numbers."""

import math
import posixpath
import re
import sys

import pytest

from bench.cli import run_cli
from bench.exit_codes import ExitCode
from bench.gate import results_json
from bench.report.export import mlflow_runs as package
from bench.report.export.mlflow_runs import failures, mlflow_runs
from bench.results import Cell, ValueResult
from tests.report.sample import HOSTILE, hostile, sample

TAKEN = re.compile(r"^[/\w.\- ]*$", re.ASCII)  # of MLflow 3.17, mlflow/utils/validation.py, on Windows
SERVER = "http://127.0.0.1:9"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "results.json").write_text(results_json(sample()))
    return tmp_path


@pytest.fixture
def whole(run):
    """The same run, in which nothing failed."""
    results = sample().model_copy(deep=True)
    for cell in results.cells:
        cell.status = "skipped" if cell.status == "error" else cell.status
    results.verdict.error = False
    assert not failures(results)
    (run / "results.json").write_text(results_json(results))
    return run


def numbers_of(cells):
    """Every figure that cells hold, read from the record itself."""
    found = []
    for cell in cells:
        for value in cell.values.values() if cell.status == "ok" else ():
            ends = (*(value.ci or ()), *(value.gap_ci or ()))
            found += [value.estimate, value.gap, value.variant, value.reference, value.n, *ends]
    return sorted(float(number) for number in found if number is not None)


@pytest.mark.parametrize("make", [sample, hostile])
def test_every_figure_is_a_metric_and_every_metric_a_figure(make):
    results = make()
    runs = mlflow_runs(results).variants
    places = list(dict.fromkeys((cell.variant, cell.target, cell.replicate) for cell in results.cells))
    assert len(runs) == len(places) == len(results.variants) > 8
    for place, told in zip(places, runs, strict=True):
        cells = [cell for cell in results.cells if (cell.variant, cell.target, cell.replicate) == place]
        assert sorted(told.metrics.values()) == numbers_of(cells)
        assert len(told.metrics) > 20
        assert told.failed == any(cell.status == "error" for cell in cells)


@pytest.mark.parametrize("make", [sample, hostile])
def test_mlflow_takes_every_name_and_text(make):
    runs = mlflow_runs(make())
    for told in (runs.whole, *runs.variants):
        for name in (*told.tags, *told.params, *told.metrics):
            assert TAKEN.match(name), name
            assert 0 < len(name) <= 250
            assert posixpath.normpath(name) == name
            assert not name.startswith(("..", "/"))
        for text in (told.name, *told.tags.values(), *told.params.values()):
            assert 0 < len(text) <= 5000
            assert text.isprintable()
        assert all(math.isfinite(figure) for figure in told.metrics.values())


def cell(name, **params):
    value = ValueResult(kind="change", estimate=float(len(params)), n=1)
    return Cell(variant="v", target="t", metric=name, family="f", status="ok", params=params, values={"x": value})


def test_no_two_figures_share_a_name():
    """Names that differ only in what MLflow refuses, in types, in absent parameters, or beyond 250 characters."""
    results = sample().model_copy(deep=True)
    long = "m" * 300
    cells = [cell("a:b"), cell("a b"), cell("a/b"), cell("m", p=1), cell("m", p="1"), cell("m", p=None), cell("m")]
    cells += [cell(long), cell(f"{long}m"), cell("m", p=[1, 2]), cell("m", p={"1": 2}), cell(".."), cell(""), cell("_")]
    results.cells, results.variants = cells, []
    [told] = mlflow_runs(results).variants
    assert len(told.metrics) == 2 * len(cells)


def test_what_failed_or_was_skipped_is_a_tag_with_its_reason_and_no_number():
    results = hostile()
    runs = {told.name: told for told in mlflow_runs(results).variants}
    states = [cell for cell in results.cells if cell.status != "ok"]
    assert {cell.status for cell in states} == {"error", "skipped"}
    for failed in states:
        if failed.variant == HOSTILE:
            continue
        told = runs[f"{failed.variant} on {failed.target}"]
        said = {name: text for name, text in told.tags.items() if text.startswith(f"{failed.status}: ")}
        assert any(name.startswith(failed.metric) and name.endswith("/status") for name in said)
        parameters = "".join(f" {name} {value}" for name, value in sorted(failed.params.items()))
        assert not [name for name in told.metrics if name.startswith(f"{failed.metric}{parameters}/")]
    assert len(failures(results)) == sum(cell.status == "error" for cell in results.cells)


def test_tags_say_what_the_numbers_are_of():
    results = sample().model_copy(deep=True)
    results.suite.data.fingerprint = "cd" * 32
    runs = mlflow_runs(results)
    for told in (runs.whole, *runs.variants):
        assert told.tags["crbench.suite_fingerprint"] == results.suite.fingerprint
        assert told.tags["crbench.data_fingerprint"] == results.suite.data.fingerprint
        assert told.tags["mlflow.source.git.commit"] == results.run.git.commit
        assert told.tags["crbench.processor"].startswith(results.run.machine.cpu)
        assert told.tags["crbench.verdict"] in ("may ship", "do not ship", "undecided", "error")
    pruned = next(told for told in runs.variants if told.name == "prune30 on torch")
    assert pruned.params["steps"] == "structured-prune (ratio 0.3, importance l1)"
    assert pruned.params["step 1"] == 'structured-prune {"importance":"l1","ratio":0.3}'
    assert pruned.params["adversarial.pgd epsilon 0.1 steps 20/epsilon"] == "0.1"
    assert pruned.tags["crbench.verdict"] == "do not ship"
    assert pruned.tags["lipschitz.local/global_bound/bound"].startswith("certified bound, ")


def test_masked_gradients_stand_beside_the_robust_error():
    results = sample().model_copy(deep=True)
    details = {"variant": {"verdict": "masked", "reasons": ["plain gradients are zero"]}}
    place = {"variant": "ptq8", "target": "torch", "metric": "adversarial.masking", "family": "adversarial"}
    results.cells.append(Cell(**place, status="ok", details=details))
    results.run.warnings.append("ptq8 on torch: its clean error is high")
    runs = {told.name: told for told in mlflow_runs(results).variants}
    told = runs["ptq8 on torch"]
    assert told.tags["crbench.potentially_unreliable"] == "gradients are masked: plain gradients are zero"
    elsewhere = runs["ptq8 on edge"].tags["crbench.potentially_unreliable"]  # the same weights, where nobody looked
    assert elsewhere == "on torch: gradients are masked: plain gradients are zero"
    assert "its clean error is high" in told.tags.values()


def test_nothing_is_sent_of_a_run_with_errors_unless_said(run, monkeypatch, capsys):
    sent = []
    monkeypatch.setattr(package, "send", lambda *given: sent.append(given) or package.Sent("URL", "", 1, 0, ""))
    command = ["export", str(run), "--to", "mlflow", "--tracking-uri", SERVER]
    assert run_cli(command) == ExitCode.INCOMPLETE
    assert "integrated gradients are not finite" in (said := capsys.readouterr().err)
    assert said.endswith("crbench: incomplete: nothing was sent; --with-errors sends it, errors as tags\n")
    assert not sent
    assert run_cli([*command, "--with-errors"]) == 0
    [(runs, seal, _, files, server, experiment)] = sent
    assert (server, experiment, len(seal), runs.whole.failed) == (SERVER, sample().suite.name, 64, True)
    assert set(files) == {"results.json", "index.html"}


def test_without_mlflow_the_extra_is_named(whole, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert run_cli(["export", str(whole), "--to", "mlflow", "--tracking-uri", SERVER]) == ExitCode.USAGE
    hint = "package 'mlflow-skinny' is not installed; pip install \"compression-robustness-bench[mlflow]\""
    assert capsys.readouterr().err == f"crbench: {hint}\n"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "names no server, and MLFLOW_TRACKING_URI is not set"),
        (["--tracking-uri", "mlruns"], "is no address of a tracking server"),
        (["--tracking-uri", "databricks"], "is no address of a tracking server"),
        (["--tracking-uri", "http://[::1"], "is no address of a tracking server"),
        (["--tracking-uri", "http://me:secret@host"], "holds a name or a password"),
        (["--tracking-uri", SERVER, "-o", "there"], "--out means nothing with --to mlflow"),
        (["--to", "csv", "--experiment", "x"], "--experiment means nothing with --to csv"),
        (["--to", "csv", "--with-errors"], "--with-errors means nothing with --to csv"),
    ],
)
def test_mistakes_are_one_line(run, capsys, given, said):
    assert run_cli(["export", str(run), "--to", "mlflow", *given]) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
    assert "secret" not in told
