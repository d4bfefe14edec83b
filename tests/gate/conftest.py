"""Runs made of given samples: real results and arrays, without any network."""

import numpy as np
import pytest

from bench.cell_id import CellId
from bench.gate import judge_cell
from bench.results import Cell, GateResult, ReferenceResult, Results, SuiteInfo, ValueResult, VariantResult
from bench.store.samples import CellSamples, RunSamples, ValueSamples
from bench.suite.suite import Gate

KINDS = {"proportion": "quality", "mean": "quality", "statistic": "quality", "count": "change", "distance": "change"}


class Maker:
    """Collects cells; ``run`` makes results and arrays of them."""

    def __init__(self, suite="s", key="first", reference="r" * 64):
        self.suite, self.key, self.reference = suite, key, reference
        self.cells, self.samples = [], {}

    def add(
        self, x, *, variant="v", form="proportion", rule="max_harm", tolerance=0.05, margin=None, better="lower",
        metric="made.up", value="figure", reference=None, status="ok", reason="", machine="m", gates=None, key=None,
        verdict="passed", yardsticks=(), power=1, version=1, inputs=None, params=None, target="torch",
        family="fidelity", **more,
    ):  # fmt: skip
        params = {} if params is None else params
        arrays = inputs if inputs is not None else {"x": np.asarray(x, dtype=float)}
        n = len(next(iter(arrays.values())))
        if gates is None:
            gates = [GateResult(rule=rule, tolerance=tolerance, verdict=verdict, because="made", margin=margin)]
        own = float(np.mean(arrays["x"])) if "x" in arrays else 0.1
        kind, unit = "cost" if form == "timing" else KINDS[form], "proportion" if form == "proportion" else ""
        shown = ValueResult(
            kind=kind, better=better, unit=unit, reference=0.1, variant=own, estimate=0.0, ci=(-0.01, 0.01),
            gates=gates, yardsticks=list(yardsticks), gap=0.5 if yardsticks else None,
        )  # fmt: skip
        place = CellId.make(variant, target, metric, params).path
        name = f"{key or self.key}/{place}"
        self.cells.append(
            Cell(
                variant=variant, target=target, metric=metric, params=params, family=family, n=n, status=status,
                reason=reason, key=name, values={value: shown} if status == "ok" else {},
            )
        )  # fmt: skip
        if status == "ok":
            identity = {
                "data": "d" * 64, "reference": self.reference, "yardsticks": "y" * 64, "metric": metric,
                "version": version, "parameters": params, "n": n, **more,
            }  # fmt: skip
            own = {} if reference is None else {"x": np.asarray(reference, dtype=float)}
            samples = ValueSamples(form, arrays, own, better=better, power=power)
            self.samples[place] = CellSamples(name, f"network of {variant}", identity, machine, {value: samples})
        return self

    def run(self, labels=None, classes=()):
        places = dict.fromkeys((cell.variant, cell.target) for cell in self.cells)
        results = Results(
            suite=SuiteInfo(name=self.suite, fingerprint="f", path="s.toml"),
            reference=ReferenceResult(),
            variants=[VariantResult(name=name, target=target) for name, target in places],
            cells=self.cells,
        )
        return results, RunSamples(dict(self.samples), labels, classes)


@pytest.fixture
def make():
    return Maker


@pytest.fixture
def outcomes():
    """0/1 outcomes with so many ones first."""
    return lambda ones, n=200: np.r_[np.ones(ones), np.zeros(n - ones)]


@pytest.fixture
def gate():
    return Gate


@pytest.fixture
def judged_cell():
    return judge_cell
