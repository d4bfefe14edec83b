"""Weight landscapes of suites: figures of the networks that were trained, every report, and what is skipped."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
import torch
from rich.console import Console

from bench.engine.planning import plan_suite
from bench.gate.exit_codes import incomplete
from bench.models.training import preprocess
from bench.report.html import render_html
from bench.report.landscape import landscape_texts, sentence
from bench.report.terminal import render
from bench.results import Results
from bench.stats.proportions import clopper_pearson
from bench.study import Study
from bench.suite.landscapes import landscapes
from bench.suite.load import load_suite
from tests.suite.documents import problems, write

SUITE = """
[data]
loader = "digits"
evaluation = 300
calibration = 32

[reference]
model = "mlp"
hidden = [16]
batch_norm = true
recipe = { epochs = 3, batch = 64 }
method = { use = "curve", members = 4 }

[[target]]
name = "torch"

[[variant]]
name = "ptq8"
steps = [{ use = "ptq", bits = 8 }]

[[metric]]
use = "fidelity.accuracy"

[[landscape]]
name = "space"
samples = 200
grid = 4
draws = 3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("landscape")


@pytest.fixture(scope="module")
def study(folder):
    return Study(write(folder, SUITE), folder / "store")


@pytest.fixture(scope="module")
def results(study):
    return study.run()


def ran(folder, method, name, further=""):
    text = SUITE.replace('method = { use = "curve", members = 4 }', method).replace("grid = 4", f"grid = 4\n{further}")
    return Study(write(folder, text, name), folder / "store").run()


def test_a_curve_and_the_straight_line_beside_it(study, results) -> None:
    (found,) = results.landscape
    assert (found.status, found.method, found.samples, found.batch_norm_samples) == ("ok", "curve", 200, 512)
    assert found.modes == ["first end", "bend", "second end"]
    curve, line = found.paths
    assert (curve.kind, line.kind, len(curve.points), len(line.points)) == ("curve", "line", 21, 21)
    assert curve.ends == line.ends == ["first end", "second end"]
    members = study.engine.networks.get(study.plan.references[0]).module.members
    samples = study.dataset.evaluation.take(slice(0, 200))
    x, y = preprocess(torch.from_numpy(samples.x), study.dataset.input), torch.from_numpy(samples.y)
    for path in (curve, line):
        for point, member in ((path.points[0], members[0]), (path.points[-1], members[-1])):
            with torch.no_grad():
                scores = member(x).double()
            assert point.loss == pytest.approx(float(torch.nn.functional.cross_entropy(scores, y)), abs=1e-6)
            right = int((scores.argmax(dim=1) == y).sum())
            assert (point.accuracy, point.accuracy_ci) == (right / 200, clopper_pearson(right, 200)[:2])
        rises = [
            point.loss - (1 - t) * path.points[0].loss - t * path.points[-1].loss
            for t, point in zip(np.linspace(0, 1, 21), path.points, strict=True)
        ]
        assert path.barrier == pytest.approx(max(rises))
        assert path.barrier_at == path.points[int(np.argmax(rises))].name
        assert path.barrier_ci[0] <= path.barrier <= path.barrier_ci[1]
        assert all(point.loss_ci[0] <= point.loss <= point.loss_ci[1] for point in path.points)
    assert line.barrier_ci[0] > curve.barrier_ci[1]


def test_the_plane_holds_the_three_modes(results) -> None:
    plane = results.landscape[0].plane
    assert plane.coordinates[0] == (0, 0)
    assert plane.coordinates[1][1] == 0
    assert np.array(plane.loss).shape == np.array(plane.accuracy).shape == (4, 4)
    (low, high), wide = (plane.x[0], plane.x[-1]), np.ptp([x for x, _ in plane.coordinates])
    assert high - low == pytest.approx(1.4 * wide)
    assert low == pytest.approx(min(x for x, _ in plane.coordinates) - 0.2 * wide)


def test_a_second_run_reuses_it_and_another_question_does_not(folder, study, results, monkeypatch) -> None:
    (planned,) = landscapes(study.planned.planner, study.plan)
    other = load_suite(write(folder, SUITE.replace("draws = 3", "draws = 4"), "other.toml"))
    whole = plan_suite(other)
    assert landscapes(whole.planner, whole.plan)[0].key != planned.key
    monkeypatch.setattr("bench.uncertainty.landscape.looked_at", lambda *_: pytest.fail("looked at again"))
    (again,) = Study(folder / "suite.toml", folder / "store").run().landscape
    assert again.cached
    assert again.model_copy(update={"cached": False}) == results.landscape[0]
    assert Study(folder / "suite.toml", folder / "store").run(only="ptq8").landscape == []


def test_a_simplex_and_the_baseline_of_independent_trainings(folder) -> None:
    (simplex,) = ran(folder, 'method = { use = "subspace", shape = "simplex" }', "simplex.toml").landscape
    (path,) = simplex.paths
    assert [point.name for point in path.points] == [
        "vertex 1", "vertex 2", "vertex 3", "middle of 1 and 2", "middle of 1 and 3", "middle of 2 and 3", "centre",
        "drawn 1", "drawn 2", "drawn 3",
    ]  # fmt: skip
    assert simplex.plane.modes == ["vertex 1", "vertex 2", "vertex 3"]
    (lines,) = ran(folder, 'method = { use = "deep-ensemble", members = 4 }', "lines.toml", "points = 5").landscape
    assert [path.ends for path in lines.paths] == [[f"member {a}", f"member {b}"] for a, b in ((1, 2), (1, 3), (2, 3))]
    assert min(path.barrier_ci[0] for path in lines.paths) > path.barrier_ci[1]
    assert sentence(lines).count("between member") == 3
    (line,) = ran(folder, 'method = { use = "subspace" }', "line.toml").landscape
    assert (line.plane, line.plane_reason) == (None, "2 modes lie on a line, a plane needs three")


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("", "one network has no second mode"),
        ('method = { use = "masksembles", members = 4, scale = 1.5 }', "members of masksembles share weights"),
        ('method = { use = "curve", members = 2 }', "give members = 3 or more"),
    ],
)
def test_what_has_none_is_skipped_with_the_reason(folder, method, said) -> None:
    results = ran(folder, method, "skipped.toml")
    assert (results.landscape[0].status, results.landscape[0].paths) == ("skipped", [])
    assert said in results.landscape[0].reason
    assert incomplete(results) == []
    assert said in render_html(results).partition('id="h-landscape"')[2].partition("</section>")[0]


def test_a_fault_is_its_own_and_makes_the_run_incomplete(folder, monkeypatch) -> None:
    def broken(*_):
        raise RuntimeError("out of order")

    monkeypatch.setattr("bench.uncertainty.landscape.looked_at", broken)
    results = ran(folder, 'method = { use = "curve", members = 4 }', "broken.toml", "points = 4")
    assert (results.landscape[0].status, results.landscape[0].reason) == ("error", "RuntimeError: out of order")
    assert incomplete(results) == ["landscape space: RuntimeError: out of order"]


def test_reports_show_it(results) -> None:
    results = Results.model_validate(results.model_dump(by_alias=True))
    section = render_html(results).partition('id="h-landscape"')[2].partition("</section>")[0]
    assert section.count("<svg") == 3
    assert section.count('class="tile"') == 16
    assert section.count("<polygon") == 2
    assert section.count('class="trace"') == 1
    (text,) = landscape_texts(results.landscape)
    assert len(text.paths[0].line.split()) == 21
    marks = np.array([mark[:2] for mark in text.plane.marks])
    apart = np.linalg.norm(marks[1] - marks[0]) / np.linalg.norm(marks[2] - marks[0])
    there = np.array(results.landscape[0].plane.coordinates)
    assert apart == pytest.approx(np.linalg.norm(there[1]) / np.linalg.norm(there[2]), rel=0.01)
    trace = np.array([[float(part) for part in point.split(",")] for point in text.plane.trace.split()])
    np.testing.assert_allclose(trace[[0, -1]], marks[[0, 2]], atol=0.11)
    console = Console(width=200, record=True, file=StringIO())
    render(results, console)
    shown = console.export_text()
    assert "nats along the curve" in shown
    assert "on the straight line" in shown


def test_hostile_names_stay_text(results) -> None:
    broken = Results.model_validate(results.model_dump(by_alias=True))
    for path in broken.landscape[0].paths:
        path.ends = ["<script>alert()</script>"]
    broken.landscape[0].plane.modes[0] = broken.landscape[0].method = "<script>alert()</script>"
    section = render_html(broken).partition('id="h-landscape"')[2].partition("</section>")[0]
    assert "<script>" not in section


@pytest.mark.parametrize("line", ["samples = 301", "points = 2", "grid = -1", "margin = -0.1", "draw = 3"])
def test_what_is_wrong_is_said_where(folder, line) -> None:
    key = line.partition(" ")[0]
    kept = [old for old in SUITE.splitlines() if not old.startswith(f"{key} =")]
    (problem,) = problems(write(folder, "\n".join([*kept, line]), "bad.toml"))
    assert problem.where == f"landscape[0].{key}"
