"""Runs as large as a report must bear, and such as may stand on one board."""

from __future__ import annotations

from itertools import combinations

from bench.results import HarmDifference, RankEntry, RankResult, Results, VariantRatio


def many(run: Results, rows: int, values: int) -> Results:
    """A run of so many variants with so many values each, and no pictures."""
    run = run.model_copy(deep=True)
    first = next(variant for variant in run.variants if variant.target == "torch")
    cells = [cell for cell in run.cells if (cell.variant, cell.target) == (first.name, "torch") and cell.status == "ok"]
    kinds = [(cell, name, value) for cell in cells for name, value in cell.values.items()]
    run.variants, run.cells, run.variant_ratios = [], [], []
    for row in range(rows):
        run.variants.append(first.model_copy(update={"name": f"variant-{row}"}))
        for cell in cells:
            told = {}
            for place in range(-(-values // len(cells))):
                of = [value for other, _, value in kinds if other is cell]
                like = of[place % len(of)]
                moved = {
                    key: None
                    if (number := getattr(like, key)) is None
                    else number * (1 + 0.0137 * row + 0.0031 * place)
                    for key in ("variant", "estimate", "gap")
                }
                told[f"value_{place}"] = like.model_copy(update=moved)
            run.cells.append(cell.model_copy(update={"variant": f"variant-{row}", "values": told, "examples": []}))
    return run


def of_one_place(run: Results, name: str = "digits", rows: int = 99) -> Results:
    """The first rows of a run whose data and processor are known: such runs stand in one table."""
    run = run.model_copy(deep=True)
    assert run.suite.data is not None
    assert run.run is not None
    run.suite.name, run.suite.data.fingerprint, run.run.machine.fingerprint = name, "a" * 64, "b" * 64
    run.variants = run.variants[:rows]
    kept = {(variant.name, variant.target) for variant in run.variants}
    run.cells = [cell for cell in run.cells if (cell.variant, cell.target) in kept]
    if rows < 99:
        run.variant_ratios = []
    return run


def other(run: Results) -> Results:
    """Another run of the same suite: a variant less, and other figures."""
    run = run.model_copy(deep=True)
    gone = run.variants.pop(0)
    run.cells = [cell for cell in run.cells if (cell.variant, cell.target) != (gone.name, gone.target)]
    for cell in run.cells:
        for value in cell.values.values():
            if value.estimate is not None and value.ci is not None and None not in value.ci:
                value.estimate *= 1.07
                value.ci = tuple(end * 1.07 for end in value.ci)
    return run


def ranked(run: Results) -> Results:
    """A run with ranks by every change and harm: of each variant its own place to the last."""
    run = run.model_copy(deep=True)
    held: dict[tuple[str, str, str], RankResult] = {}
    for cell in run.cells:
        for name, value in cell.values.items():
            if value.kind not in ("bound", "cost") and value.estimate is not None:
                told = {"metric": cell.metric, "params": cell.params, "value": name, "kind": value.kind}
                rank = held.setdefault((cell.metric, str(cell.params), name), RankResult(**told, method="means"))
                place = len(rank.entries) + 1
                rank.entries.append(RankEntry(variant=cell.variant, target=cell.target, low=place, high=place))
    for rank in held.values():
        rank.of = len(rank.entries)
        for entry in rank.entries:
            entry.high = rank.of
    run.ranks = list(held.values())
    return run


def paired(run: Results) -> Results:
    """A run of one target in which any two variants stand beside each other: by five changes and seven harms."""
    run = run.model_copy(deep=True)
    first = run.variants[0]
    mine = [cell for cell in run.cells if cell.variant == first.name]
    values = [(cell, name, value.kind) for cell in mine for name, value in cell.values.items()]
    changes = [(cell, name) for cell, name, kind in values if kind == "change"][:5]
    harms = [(cell, name) for cell, name, kind in values if kind in ("quality", "pair")][:7]
    names = [variant.name for variant in run.variants]
    run.variant_ratios, run.ranks = [], []
    for cell, name in changes:
        told = {
            "target": first.target,
            "metric": cell.metric,
            "params": cell.params,
            "family": cell.family,
            "value": name,
        }
        for place, (other, one) in enumerate(combinations(names, 2)):
            ratio = 1 + (place * 0.618034) % 7  # digits that are all others', as of a real run
            ends = {"ratio": ratio, "ci": (0.91 * ratio, 1.13 * ratio), "told_apart": True}
            near = names.index(one) == names.index(other) + 1
            run.variant_ratios.append(
                VariantRatio(**told, **ends, first=one, second=other, next_nearer=near, nearest=False)
            )
    for cell, name in harms:
        differences = [
            HarmDifference(
                first=one, second=other, target=first.target,
                difference=(moved := (place * 0.618034) % 0.2 - 0.1), ci=(moved - 0.03, moved + 0.03),
            )
            for place, (other, one) in enumerate(combinations(names, 2))
        ]  # fmt: skip
        told = {"metric": cell.metric, "params": cell.params, "value": name, "kind": "quality", "of": len(names)}
        run.ranks.append(RankResult(**told, method="means", differences=differences))
    return run
