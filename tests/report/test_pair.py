"""What ``crbench diff`` prints: every value, reference and variant side by side, without yardsticks too."""

import io

import pytest
from rich.console import Console

from bench.gate import with_verdicts
from bench.report.pair import render_pair
from bench.report.terminal import render
from bench.results import BoundInfo, Cell, DataInfo, ReferenceResult, Results, SuiteInfo, ValueResult, VariantResult

NO_SCALE = "there are no yardsticks"


def value(kind, **more):
    return ValueResult(kind=kind, **more)


@pytest.fixture
def pair():
    cells = [
        Cell(
            variant="int8.onnx", target="onnxruntime", metric="fidelity.predictions", family="fidelity", status="ok",
            values={
                "flip_rate": value(
                    "change", unit="proportion", estimate=0.12, ci=(0.09, 0.15), interval="exact", reason=NO_SCALE
                ),
                "js": value("change", unit="nats", estimate=0.041, ci=(0.038, 0.045), reason=NO_SCALE),
            },
        ),
        Cell(
            variant="int8.onnx", target="onnxruntime", metric="mine:Metric", family="fidelity", status="ok",
            params={"strength": 2},
            values={
                "own_quality": value(
                    "quality", better="lower", reference=0.5, variant=0.7, estimate=0.2, ci=(0.1, 0.3), p_adjusted=0.01
                ),
                "own_bound": value(
                    "bound", reference=3.0, variant=4.0, reason="the ratio is open",
                    bound=BoundInfo(kind="lower", norm="l2", domain="samples"),
                ),
                "own_cost": value("cost", unit="bytes", reference=4000.0, variant=1000.0, estimate=0.25),
            },
        ),
        Cell(
            variant="int8.onnx", target="onnxruntime", metric="adversarial.pgd", family="adversarial",
            status="skipped", reason="variant: no gradients", params={"epsilon": 0.1},
        ),
        Cell(
            variant="int8.onnx", target="onnxruntime", metric="attribution.ig", family="attribution",
            status="error", reason="variant: boom",
        ),
    ]  # fmt: skip
    return with_verdicts(
        Results(
            suite=SuiteInfo(name="diff", fingerprint="f", data=DataInfo(name="x.npz", evaluation=400)),
            reference=ReferenceResult(),
            variants=[VariantResult(name="int8.onnx", target="onnxruntime")],
            cells=cells,
        )
    )


def printed(draw, results, width=80, encoding="utf-8"):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    draw(results, Console(file=out, width=width))
    out.seek(0)
    return out.read()


def test_every_value_stands_there_with_both_figures_and_its_interval(pair):
    text = printed(render_pair, pair, width=100)
    rows = {" ".join(line.split()) for line in text.splitlines()}
    assert "int8.onnx against the reference, on onnxruntime, 400 samples of x.npz" in rows
    assert "reference variant difference 95 % interval" in rows
    assert "flip rate – – change 12.0 % [9.0, 15.0]" in rows
    assert "mine:Metric strength 2" in rows
    assert "own quality 0.500 0.700 harm +0.20 ▲ [0.10, 0.30]" in rows
    assert "own bound ≥ 3.00 ≥ 4.00 –" in rows
    assert "own bound: the ratio is open" in rows
    assert "own cost 4.00 kB 1.00 kB ratio 0.250×" in rows
    assert "adversarial.pgd epsilon 0.1" in rows
    assert "skipped: variant: no gradients" in rows
    assert "error: variant: boom" in rows
    assert NO_SCALE not in text  # said of gaps, and this has none
    for name in ("Jensen-Shannon divergence", "attribution.ig"):
        assert name in " ".join(text.split())


def test_no_gate_is_said_once(pair):
    assert printed(render_pair, pair).count("no gate was set") == 1
    assert "no gate was set: nothing is judged; 1 of 4 metrics failed" in printed(render_pair, pair)
    pair.cells.pop()
    whole = with_verdicts(pair)
    assert whole.verdict.because == "undecided: no gate was set"
    assert printed(render, whole).count("no gate was set") == 1


def test_a_narrow_terminal_and_one_without_unicode_lose_nothing(pair):
    narrow = printed(render_pair, pair, width=76, encoding="ascii")
    assert narrow.isascii()
    for figure in ("[0.0380, 0.0450]", "+0.20 ^", "0.250x", "> 3.00"):
        assert figure in narrow


def test_the_figures_of_an_empty_pair(pair):
    pair.cells, pair.variants = [], []
    assert "nothing" in printed(render_pair, pair)
