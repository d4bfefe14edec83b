"""Figures with their intervals, drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from bench.errors import MissingExtra, UserError
from bench.registry import nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

What: TypeAlias = Literal["gap", "change", "harm"]
LABELS: Final[dict[str, str]] = {
    "gap": "gap (0: same function, 1: as different as {yardstick})",
    "change": "change (0: same function)",
    "harm": "harm (positive: worse)",
}
LACKING: Final[dict[str, str]] = {
    "gap": "a gap needs yardsticks: networks as good as the reference, such as retrained ones",
    "change": "ask for a metric with changes, such as fidelity.predictions",
    "harm": "ask for a metric of quality, such as fidelity.accuracy, and give labels",
}


def plot_values(
    rows: Iterable[Mapping[str, Any]], what: What = "gap", ax: Axes | None = None, yardstick: str = "a yardstick"
) -> Axes:
    """A point and its 95 % interval for each value that has such a figure, the first row on top.

    Args:
        rows: as ``frames.value_rows`` gives them.
        what: ``gap``, ``change`` or ``harm``; the last two in units that may differ from value to value.
        ax: axes to draw into; new ones by default.
        yardstick: what stands at a gap of 1, in words.

    Raises:
        UserError: an unknown figure, or no value has it.
        MissingExtra: matplotlib is not installed.
    """
    if what not in get_args(What):
        raise UserError.at("plot", f"unknown figure {what!r}", nearest(str(what), get_args(What)))
    shown = [row for row in rows if _has(row, what)]
    several = [name for name in ("variant", "target", "replicate") if len({row[name] for row in shown}) > 1]
    points = [_point(row, what, several) for row in shown]
    if not points:
        raise UserError.at("plot", f"no value has a {what}", LACKING[what])
    try:
        from matplotlib import pyplot
    except ImportError:
        raise MissingExtra("matplotlib", "notebook") from None
    if ax is None:
        size = 5.5 + 0.08 * max(len(name) for name, *_ in points), 1 + 0.35 * len(points)
        ax = pyplot.subplots(figsize=size, layout="constrained")[1]
    for row_number, (_, figure, low, high) in enumerate(points):
        if high is not None:  # without a lower end it is an upper limit
            ax.plot([0.0 if low is None else low, high], [row_number, row_number], color="tab:blue", linewidth=1.5)
        if figure is not None:
            ax.plot([figure], [row_number], "o", color="tab:blue", markersize=5)
    for mark in (0.0, 1.0) if what == "gap" else (0.0,):
        ax.axvline(mark, color="0.6", linewidth=0.8, linestyle="--" if mark else "-", zorder=0)
    ax.set_yticks(range(len(points)), [name for name, *_ in points])
    ax.set_ylim(len(points) - 0.5, -0.5)
    ax.set_xlabel(LABELS[what].format(yardstick=yardstick))
    return ax


def _has(row: Mapping[str, Any], what: What) -> bool:
    if what == "gap":
        return row["gap"] is not None or row["gap_high"] is not None
    return row["estimate"] is not None and row["kind"] in (("change",) if what == "change" else ("quality", "pair"))


def _point(
    row: Mapping[str, Any], what: What, several: Sequence[str]
) -> tuple[str, float | None, float | None, float | None]:
    """A label, which names what there are ``several`` of (variants, targets, replicates), the figure and interval."""
    params = f"[{row['params']}]" if row["params"] else ""
    unit = f" ({row['unit']})" if row["unit"] and what != "gap" else ""
    prefix = "".join(f"{row[name]} " for name in several)
    name = f"{prefix}{row['metric']}{params} {row['value']}{unit}"
    if what == "gap":
        return name, row["gap"], row["gap_low"], row["gap_high"]
    return name, row["estimate"], row["low"], row["high"]
