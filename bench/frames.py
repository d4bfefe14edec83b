"""Results as tidy rows: one a value, and one for each cell that has none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from bench.errors import MissingExtra
from bench.results import Cell, SeriesResult, VariantRatio

if TYPE_CHECKING:
    import pandas

TEXTS: Final = ("variant", "target", "metric", "params", "family", "value", "kind", "unit", "better")
NUMBERS: Final = (
    "estimate", "low", "high", "gap", "gap_low", "gap_high", "seed_ratio", "p_value", "reference", "variant_figure",
)  # fmt: skip
COLUMNS: Final = (*TEXTS, *NUMBERS, "n", "replicate", "scope", "gate", "status", "reason")
RATIO_NUMBERS: Final = ("ratio", "low", "high", "resolution")
RATIO_COLUMNS: Final = (
    "first", "second", "target", "metric", "params", "family", "value", *RATIO_NUMBERS, "told_apart", "n", "replicate",
    "next_nearer", "nearest", "reason",
)  # fmt: skip
SERIES_COLUMNS: Final = (
    "name", "axis", "target", "metric", "params", "family", "value", "meaning", "variant", "strength", "replicate",
    "figure",
)  # fmt: skip
SEVERITY: Final = ("failed", "inconclusive", "accepted", "passed")  # the first that any gate says


def shown_parameters(params: Mapping[str, Any]) -> str:
    """Parameters in one text, those without a value left out.

    >>> shown_parameters({"steps": 20, "epsilon": 0.1, "relative_stepsize": None})
    'epsilon=0.1,steps=20'
    """
    return ",".join(f"{name}={value}" for name, value in sorted(params.items()) if value is not None)


def value_rows(cells: Iterable[Cell]) -> Iterator[dict[str, Any]]:
    """A row of ``COLUMNS`` for every value of every cell; of a skipped or failed cell one row with its reason.

    ``estimate`` is the change, the harm (positive is worse) or the ratio of costs, ``low`` and ``high`` its 95 %
    interval; None where a number does not exist.
    """
    for cell in cells:
        identity = {
            "variant": cell.variant,
            "target": cell.target,
            "metric": cell.metric,
            "params": shown_parameters(cell.params),
            "family": cell.family,
            "n": cell.n,
            "replicate": cell.replicate,
            "status": cell.status,
        }
        if not cell.values:
            yield {**dict.fromkeys(COLUMNS), **identity, "reason": cell.reason}
        for name, value in cell.values.items():
            low, high = value.ci or (None, None)
            gap_low, gap_high = value.gap_ci or (None, None)
            verdicts = {gate.verdict for gate in value.gates}
            row = {
                **identity,
                "value": name,
                "kind": value.kind,
                "unit": value.unit,
                "better": value.better,
                "estimate": value.estimate,
                "low": low,
                "high": high,
                "gap": value.gap,
                "gap_low": gap_low,
                "gap_high": gap_high,
                "seed_ratio": value.seed_ratio,
                "p_value": value.p_value,
                "reference": value.reference,
                "variant_figure": value.variant,
                "scope": value.scope,
                "gate": next((word for word in SEVERITY if word in verdicts), ""),
                "reason": value.reason,
            }
            yield {name: row[name] for name in COLUMNS}


def data_frame(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], numbers: Iterable[str]) -> pandas.DataFrame:
    """Rows as a pandas frame; ``numbers`` are floating point, NaN where there is none.

    Raises:
        MissingExtra: pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise MissingExtra("pandas", "notebook") from None
    frame = pandas.DataFrame([dict(row) for row in rows], columns=list(columns))
    return frame.astype(dict.fromkeys(numbers, "float64"))


def values_frame(cells: Iterable[Cell]) -> pandas.DataFrame:
    """The rows of ``value_rows`` as a pandas frame."""
    return data_frame(value_rows(cells), COLUMNS, NUMBERS)


def ratio_rows(ratios: Iterable[VariantRatio]) -> Iterator[dict[str, Any]]:
    """A row of ``RATIO_COLUMNS`` for each pair; ``low`` and ``high`` are the paired 95 % interval of ``ratio``."""
    for item in ratios:
        low, high = item.ci or (None, None)
        row = {**dict(item), "params": shown_parameters(item.params), "low": low, "high": high}
        yield {name: row[name] for name in RATIO_COLUMNS}


def ratios_frame(ratios: Iterable[VariantRatio]) -> pandas.DataFrame:
    """``ratio_rows`` as a frame."""
    return data_frame(ratio_rows(ratios), RATIO_COLUMNS, RATIO_NUMBERS)


def series_rows(series: Iterable[SeriesResult]) -> Iterator[dict[str, Any]]:
    """A row of ``SERIES_COLUMNS`` for each figure; ``variant`` is None at the reference."""
    for item in series:
        whole = {**dict(item), "params": shown_parameters(item.params)}
        for point in item.points:
            for replicate, figure in enumerate(point.figures):
                row = {**whole, **dict(point), "replicate": replicate, "figure": figure}
                yield {name: row[name] for name in SERIES_COLUMNS}


def series_frame(series: Iterable[SeriesResult]) -> pandas.DataFrame:
    """``series_rows`` as a frame."""
    return data_frame(series_rows(series), SERIES_COLUMNS, ("strength", "figure"))
