"""Checks a suite's series: variants by the strength of their compression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.registry import nearest
from bench.suite.check_networks import tables_in
from bench.suite.findings import Findings
from bench.suite.suite import MetricUse, Series
from bench.suite.tables import SeriesTable


def build_series(
    findings: Findings, raw: dict[str, Any], variants: Sequence[str], uses: Sequence[MetricUse]
) -> tuple[Series, ...]:
    """Every series whose variants and values there are."""
    known = {f"{use.metric.name}.{value.name}" for use in uses for value in use.metric.values}
    made = []
    for index, item in tables_in(raw, "series"):
        path = ("series", index)
        table = findings.parse(SeriesTable, item, path)
        if table is None:
            continue
        for number, name in enumerate(table.variants):
            if name not in variants:
                findings.add((*path, "variants", number), f"no variant {name!r}", nearest(name, variants))
        if len(set(table.variants)) < len(table.variants):
            findings.add((*path, "variants"), "a variant is named twice", "leave one out")
        if len(table.variants) < 3:
            findings.add((*path, "variants"), f"{len(table.variants)} are too few to rank", "give three or more")
        if len(table.strength) != len(table.variants):
            what = f"{len(table.strength)} numbers for {len(table.variants)} variants"
            findings.add((*path, "strength"), what, "give one a variant")
        if any(second <= first for first, second in zip(table.strength, table.strength[1:], strict=False)):
            findings.add((*path, "strength"), "the numbers do not rise", "order the variants by rising strength")
        if table.reference is not None and table.strength and table.reference >= table.strength[0]:
            what = f"{table.reference:g} is not below the first strength, {table.strength[0]:g}"
            findings.add((*path, "reference"), what, "give the strength of no compression")
        for number, name in enumerate(table.values):
            if name not in known:
                findings.add((*path, "values", number), f"no value {name!r} in this suite", nearest(name, known))
        points = tuple(zip(table.variants, table.strength, strict=False))
        made.append(Series(table.name, points, tuple(table.values), table.axis, table.reference))
    return tuple(made)
