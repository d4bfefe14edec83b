"""Values along a series of variants: as the cells hold them, and in every report."""

import pytest

from bench.report.html import render_html
from bench.report.series import series_texts
from bench.results import Results, SeriesPoint, SeriesResult
from bench.run_results import RunResults
from bench.stats.rank_correlation import over_replicates

SERIES = """
[[variant]]
name = "noise1"
steps = [{ use = "weight-noise", sigma = 0.1 }]

[[variant]]
name = "noise6"
steps = [{ use = "weight-noise", sigma = 0.6 }]

[[series]]
name = "noisy"
axis = "noise"
variants = ["noise1", "noise", "noise6"]
strength = [0.1, 0.3, 0.6]
reference = 0
values = ["fidelity.predictions.js", "fidelity.accuracy.accuracy", "adversarial.pgd.robust_error"]
"""


@pytest.fixture
def run(tiny):
    text = tiny.text.replace('name = "tiny"', 'name = "tiny"\nreplicates = 2').replace("samples = 20", "samples = 10")
    tiny.write(text=text + SERIES)
    assert tiny.run("run", "tiny.toml", "--quiet", "--only", "noise*/torch/*") == 0
    return tiny


def test_figures_are_the_cells_own(run):
    results = Results.model_validate(run.results())
    assert [(item.value, item.meaning) for item in results.series] == [
        ("js", "change"), ("accuracy", "harm"), ("robust_error", "harm"),
    ]  # fmt: skip
    cells = {(c.variant, c.replicate): c for c in results.cells if c.metric == "fidelity.accuracy"}
    accuracy = results.series[1]
    assert [point.variant for point in accuracy.points] == [None, "noise1", "noise", "noise6"]
    assert accuracy.points[0].figures == [0.0, 0.0]
    for point in accuracy.points[1:]:
        assert point.figures == [cells[point.variant, k].values["accuracy"].estimate for k in (0, 1)]
    assert [point.strength for point in results.series[0].points] == [0.1, 0.3, 0.6]  # a change has no reference
    rows = [[point.figures[k] for point in accuracy.points] for k in (0, 1)]
    assert accuracy.rank_correlation == over_replicates([0, 0.1, 0.3, 0.6], rows).mean
    assert accuracy.rank_ci is None
    page = (run.folder / "reports/tiny/index.html").read_text()
    assert page.count('<svg class="plot"') == 3
    frame = RunResults.model_validate(run.results()).series_frame()
    assert len(frame) == 2 * (3 + 4 + 4)


BAD = {
    'variants = ["noise1", "noise", "nois6"]': "no variant 'nois6'",
    "strength = [0.1, 0.3]": "2 numbers for 3 variants",
    "strength = [0.1, 0.6, 0.3]": "the numbers do not rise",
    'variants = ["noise1", "noise6"]': "2 are too few to rank",
    "reference = 0.2": "0.2 is not below the first strength, 0.1",
    'values = ["fidelity.predictions.jss"]': "no value 'fidelity.predictions.jss' in this suite",
    'variants = ["noise1", "noise1", "noise6"]': "a variant is named twice",
}


@pytest.mark.parametrize(("line", "said"), BAD.items(), ids=range(len(BAD)))
def test_what_is_wrong_is_said_where(tiny, capsys, line, said):
    key = line.partition(" ")[0]
    lines = [line if item.startswith(f"{key} =") else item for item in SERIES.splitlines()]
    tiny.write(text=tiny.text + "\n".join(lines))
    assert tiny.run("check", "tiny.toml") == 2
    problem = capsys.readouterr().err
    assert said in problem
    assert f"series[0].{key}" in problem


def made(**changes):
    points = [
        SeriesPoint(variant=None, strength=0, figures=[1.0, 1.0]),
        SeriesPoint(variant="a<b>", strength=1, figures=[0.5, 0.25]),
        SeriesPoint(variant="c", strength=3, figures=[0.1, None]),
    ]
    fields = {
        "name": "pruned", "axis": "<script>", "target": "torch", "metric": "lipschitz.global", "value": "certified",
        "meaning": "ratio", "points": points, "rank_correlation": -1.0, "each": [-1.0, -1.0],
    }  # fmt: skip
    return SeriesResult(**{**fields, **changes})


def test_a_plot_is_logarithmic_for_ratios_and_names_are_escaped():
    (text,) = series_texts([made()])
    assert [tick.text for tick in text.y_ticks] == ["1.0", "0.10"]
    assert [tick.text for tick in text.x_ticks] == ["0", "3", "1"]
    height = {round(x): y for x, y in text.dots}
    assert len(text.dots) == 5
    assert text.rest == height[52] == 10.0
    half, quarter = sorted(y for x, y in text.dots if 52 < x < 300)
    assert quarter - half == pytest.approx(half - 10.0, abs=0.2)  # equal factors are equal distances


def test_nothing_to_draw_is_not_drawn():
    none = [SeriesPoint(variant="a", strength=1, figures=[None])]
    assert series_texts([made(points=none, rank_correlation=None, each=[])]) == []


def test_hostile_names_stay_text(run):
    results = Results.model_validate(run.results())
    results.series = [made()]
    page = render_html(results)
    assert "<script>" not in page.partition("</head>")[2].replace("<script>" + page.rpartition("<script>")[2], "")
    assert "&lt;script&gt;" in page
