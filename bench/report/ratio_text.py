"""Two changes beside each other in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.cell_id import canonical_parameters
from bench.report.leaderboard.ratios import Order, RatioEntry, RatioGroup
from bench.wording import decimals, fixed, limit, place_words, plain, significant, title, told_apart

HEADING = "Which variant is nearer to the reference"
NOTE = "each beside the next nearer one: how many times as far it moved; paired 95 % interval of each pair by itself"


@dataclass(frozen=True)
class RatioLine:
    """One pair in a sentence."""

    order: Order
    sentence: str


@dataclass(frozen=True)
class RatioGroupText:
    """Neighbours by one change on one target."""

    family: str
    target: str  # and the replicate, where there are several
    value: str
    headline: bool
    lines: tuple[RatioLine, ...]

    @property
    def title(self) -> str:
        """Family, target and value."""
        return f"{self.family} ({self.target}): {self.value}"


def ratio_texts(groups: Sequence[RatioGroup]) -> tuple[RatioGroupText, ...]:
    """Every group in words; a reason that holds for all its pairs stands once."""
    apart = told_apart((group.value.metric, group.value.params) for group in groups)
    texts = []
    for group in groups:
        words = apart[group.value.metric, canonical_parameters(group.value.params)]
        value = f"{title(group.value.value)} ({words})" if words else title(group.value.value)
        target = place_words(group.target, group.replicate, several=group.several)
        reasons = {entry.reason for entry in group.entries if entry.order is Order.UNKNOWN}
        if len(reasons) == 1 and all(entry.order is Order.UNKNOWN for entry in group.entries):
            lines: tuple[RatioLine, ...] = (RatioLine(Order.UNKNOWN, _reason(*reasons)),)
        else:
            lines = tuple(RatioLine(entry.order, ratio_sentence(entry)) for entry in group.entries)
        texts.append(RatioGroupText(plain(group.family), target, value, group.headline, lines))
    return tuple(texts)


def ratio_sentence(entry: RatioEntry) -> str:
    """One pair in a sentence.

    >>> ratio_sentence(RatioEntry("ptq4", "ptq8", Order.FURTHER, 2.31, 1.92, 2.83))
    'ptq4 moved 2.31 [1.92, 2.83] times as far as ptq8'
    >>> ratio_sentence(RatioEntry("ptq4", "ptq8", Order.OPEN, 1.042, 0.97, 1.12))
    'ptq4 and ptq8 cannot be told apart: 1.04 [0.97, 1.12]'
    >>> ratio_sentence(RatioEntry("ptq4", "fold", Order.FURTHER, None, 41.7, None))
    'ptq4 moved at least 41 times as far as fold'
    """
    first, second = plain(entry.first), plain(entry.second)
    if entry.order is Order.UNKNOWN:
        return f"{first} beside {second}: {_reason(entry.reason)}"
    figures = ratio_figures_in_words(entry)
    if entry.order is Order.OPEN:
        return f"{first} and {second} cannot be told apart: {figures}"
    return f"{first} moved {figures} times as far as {second}"


def ratio_figures_in_words(entry: RatioEntry) -> str:
    """The ratio with its interval, or the one limit that is known; nothing where there is no interval.

    >>> ratio_figures_in_words(RatioEntry("a", "b", Order.NEARER, None, None, 0.312))
    'at most 0.32'
    """
    if entry.low is not None and entry.high is not None and entry.ratio is not None:
        return " ".join(times(entry.ratio, (entry.low, entry.high), sure=entry.order is not Order.OPEN))
    if entry.low is not None:
        return f"at least {limit(entry.low, 'lower').split()[1]}"
    return "" if entry.high is None else f"at most {limit(entry.high, 'upper').split()[1]}"


def times(number: float, limits: tuple[float, float], *, sure: bool) -> tuple[str, str]:
    """A ratio and its interval: two decimals at most, two digits below 0.05, three from 100 on.

    Where it is ``sure`` that the ratio is not 1, so many decimals that the interval shows it; else so many that the
    interval has a width.

    >>> times(2.31, (1.92, 2.83), sure=True), times(1.0031, (1.0012, 1.005), sure=True)
    (('2.31', '[1.92, 2.83]'), ('1.003', '[1.001, 1.005]'))
    >>> times(1.0003, (0.9967, 1.0041), sure=False)
    ('1.000', '[0.997, 1.004]')
    >>> times(54321.0, (48212.0, 61234.0), sure=True)
    ('54300', '[48200, 61200]')
    """
    places = min(2, decimals(limits[1] - limits[0]))
    while places < 6:
        low, high = (fixed(end, places) for end in limits)
        if (low != high or limits[0] == limits[1]) and not (sure and fixed(1.0, places) in (low, high)):
            break
        places += 1

    def shown(ratio: float) -> str:
        if number >= 100:
            return significant(float(f"{ratio:.2e}"))
        return fixed(ratio, places) if number >= 0.05 else significant(ratio, 2)

    return shown(number), f"[{shown(limits[0])}, {shown(limits[1])}]"


def _reason(text: str) -> str:
    return plain(text) or "no ratio, and no reason was given"
