"""Deep-ensemble equivalents in words: what each network is worth, also a megabyte and a multiply-accumulate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.results import EnsemblePoint, EquivalentFigures, EquivalentsResult
from bench.results.equivalents import Censored
from bench.wording import NOTHING, fixed, plain, significant

HEADING = "What each network is worth in networks of a deep ensemble"
NOTE = (
    "deep-ensemble equivalent: the least number of single networks, combined, whose calibrated NLL is as low; 95 %"
    " interval over samples, subsets and the luck of a training; < 1: worse than a single network, > the pool's size:"
    " better than all of the pool"
)
SIGNS: Final[dict[Censored, str]] = {"": "", "below": "< ", "above": "> "}
MILLION: Final = 1e6


@dataclass(frozen=True)
class NetworkText:
    """One network."""

    name: str
    target: str
    worth: str
    interval: str
    per_megabyte: str
    per_megamac: str
    cpu_minutes: str
    epochs: str
    calibrated_nll: str
    reason: str  # why there is no figure


@dataclass(frozen=True)
class PointText:
    """Ensembles of one size."""

    size: int
    calibrated_nll: str
    extremes: str
    subsets: int


@dataclass(frozen=True)
class EquivalentsText:
    """One section."""

    title: str
    pool: str
    rows: tuple[NetworkText, ...]
    curve: tuple[PointText, ...]
    reason: str  # why there are no figures


def equivalents_texts(found: Sequence[EquivalentsResult]) -> list[EquivalentsText]:
    """Every section, in the suite's order."""
    return [_text(item) for item in found]


def networks(number: float, censored: Censored) -> str:
    """A number of networks, or that it is beyond the ends of the pool.

    >>> networks(3.14, ""), networks(1.0, "below"), networks(24.0, "above")
    ('3.1', '< 1', '> 24')
    """
    return SIGNS[censored] + fixed(number, 0 if censored else 1)


def per_million(item: EquivalentFigures, cost: float | None) -> str:
    """The equivalent a million bytes or multiply-accumulates, with the ends of its interval.

    >>> item = EquivalentFigures(role="reference", name="r", target="t", equivalent=3.0, ci=(1.5, 24.0),
    ...     ci_censored=("", "above"))
    >>> per_million(item, 2e6), per_million(item, None)
    ('1.5 [0.75, > 12]', '–')
    """
    if item.equivalent is None or item.ci is None or not cost:
        return NOTHING
    figures = zip((item.equivalent, *item.ci), (item.censored, *item.ci_censored), strict=True)
    worth, low, high = (SIGNS[censored] + significant(number * MILLION / cost, 2) for number, censored in figures)
    return f"{worth} [{low}, {high}]"


def _row(item: EquivalentFigures, *, replicates: bool) -> NetworkText:
    name = plain(item.name) + (f" #{item.replicate + 1}" if replicates else "")
    reason = f"{item.status}: {plain(item.reason)}" if item.reason else ""
    worth = interval = nll = NOTHING
    if item.equivalent is not None and item.ci is not None and item.calibrated_nll is not None:
        worth = networks(item.equivalent, item.censored)
        interval = f"[{', '.join(networks(*end) for end in zip(item.ci, item.ci_censored, strict=True))}]"
        nll = fixed(item.calibrated_nll, 4)
    figures = (worth, "" if interval == NOTHING else interval)
    costs = (per_million(item, item.file_bytes), per_million(item, item.macs))
    minutes = NOTHING if item.cpu_seconds is None else significant(item.cpu_seconds / 60, 2)
    epochs = NOTHING if item.epochs is None else f"{item.epochs:g}"
    return NetworkText(name, plain(item.target), *figures, *costs, minutes, epochs, nll, reason)


def _point(item: EnsemblePoint) -> PointText:
    ends = f"{fixed(item.least, 4)} to {fixed(item.most, 4)}" if item.subsets > 1 else NOTHING
    return PointText(item.size, fixed(item.calibrated_nll, 4), ends, item.subsets)


def _text(item: EquivalentsResult) -> EquivalentsText:
    replicates = any(row.replicate for row in item.networks)
    pool = f"a pool of {item.pool} single networks, {item.samples} samples"
    reason = "" if item.status == "ok" else f"{item.status}: {plain(item.reason)}"
    rows = tuple(_row(row, replicates=replicates) for row in item.networks)
    return EquivalentsText(plain(item.name), pool, rows, tuple(map(_point, item.curve)), reason)
