"""Values, cells and runs by hand, for gates against the reference."""

from __future__ import annotations

from dataclasses import dataclass

from bench.results import Cell, ReferenceResult, Results, SuiteInfo, ValueResult, VariantResult


@dataclass(frozen=True)
class Gate:
    value: str
    rule: str
    tolerance: float


def harm(low=0.032, high=0.09, *, estimate=0.061, **more) -> ValueResult:
    return ValueResult(**{"kind": "quality", "unit": "proportion", "estimate": estimate, "ci": (low, high), **more})


def gap(number, limits, **more) -> ValueResult:
    """Beside one further yardstick as beside the mean of all, unless ``gap_further`` is given."""
    more.setdefault("gap_further", None if limits is None else limits[0])
    return ValueResult(kind="change", estimate=0.1, ci=(0.05, 0.2), gap=number, gap_ci=limits, **more)


def cell(values=None, *, variant="prune50", target="torch", metric="adversarial.pgd", status="ok", **more) -> Cell:
    return Cell(
        variant=variant, target=target, metric=metric, family="adversarial", status=status, values=values or {}, **more
    )


def run(*cells: Cell, variants=None) -> Results:
    places = dict.fromkeys((c.variant, c.target, c.replicate) for c in cells)
    made = [VariantResult(name=name, target=target, replicate=replicate) for name, target, replicate in places]
    made = made if variants is None else variants
    return Results(
        suite=SuiteInfo(name="s", fingerprint="f"), reference=ReferenceResult(), variants=made, cells=list(cells)
    )
