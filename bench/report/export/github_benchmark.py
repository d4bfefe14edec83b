"""Results for the action ``benchmark-action/github-action-benchmark``: its two custom formats, one a direction."""

from __future__ import annotations

import json
from typing import Any

from bench.report.export.named import Named, named
from bench.results import Results

FILES = {"lower": "customSmallerIsBetter.json", "higher": "customBiggerIsBetter.json"}


def github_benchmark(results: Results) -> dict[str, str]:
    """A file for each of the action's tools ``customSmallerIsBetter`` and ``customBiggerIsBetter``.

    ``range`` is the 95 % interval as the largest distance from the figure, since the action shows one number there;
    both ends stand in ``extra``.
    """
    entries: dict[str, list[dict[str, Any]]] = {better: [] for better in FILES}
    for item in named(results):
        entries[item.better].append(_entry(item))
    return {FILES[better]: json.dumps(of, indent=1, allow_nan=False) + "\n" for better, of in entries.items()}


def _entry(item: Named) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": f"{item.network} {item.measure}", "unit": item.value.unit, "value": item.number}
    if item.low is not None and item.high is not None:
        entry["range"] = f"± {max(item.number - item.low, item.high - item.number):.3g}"
        entry["extra"] = f"95 % interval [{item.low:.6g}, {item.high:.6g}]"
    return entry
