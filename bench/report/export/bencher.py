"""Results in the Bencher Metric Format: a benchmark each network, a measure each value."""

from __future__ import annotations

import json

from bench.report.export.named import named
from bench.results import Results


def bencher(results: Results) -> dict[str, str]:
    """``bencher.json``: figures with the ends of their 95 % intervals as lower and upper value.

    Bencher's thresholds know the direction of a measure, the format does not.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for item in named(results):
        figures = {"value": item.number, "lower_value": item.low, "upper_value": item.high}
        known = {name: figure for name, figure in figures.items() if figure is not None}
        found.setdefault(item.network, {})[item.measure] = known
    return {"bencher.json": json.dumps(found, indent=1, allow_nan=False) + "\n"}
