"""A family's alarm: a gap surely larger than that of one further yardstick, whichever metric shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import numpy as np

from bench.stats.gap import Gap
from bench.stats.interval import LEVEL
from bench.stats.multiplicity import max_t_quantile
from bench.stats.streams import generator

ONE_SIDED = (1 + LEVEL) / 2  # what a 95 % interval leaves on one side


@dataclass(frozen=True)
class Alarm:
    """The largest simultaneous lower limit, whose it is, and all of them in the order given."""

    value: float | None
    index: int | None
    lower_limits: tuple[float | None, ...]
    reason: str = ""


def family_alarm(gaps: Sequence[Gap], level: float = ONE_SIDED, seed: int = 0) -> Alarm:
    """Lower limits beside one further yardstick that all hold at once with probability ``level``, and the largest.

    L_i = exp((r_i - c e_i) / p_i), with r_i the log-ratio, e_i = sqrt(SE_i^2 + s_i^2 (1 + 1/k)) its error beside a
    further yardstick and c the quantile of max_i T_i; T_i = (r_i* - r_i + Z_i s_i sqrt(1 + 1/k)) / (e_i sqrt(X_i /
    (k - 1))), r_i* over shared resamples, Z_i normal and X_i chi-squared with k - 1 degrees of freedom: an alarm at 1
    is false for at most (1 - level) of yardsticks themselves, and alone L_i is ``Gap.further``. The yardstick terms are
    drawn independently for each gap, since four yardsticks do not tell how they correlate; for the positive correlation
    that shared yardsticks have, that is conservative (Slepian 1962, Bell System Technical Journal 41:463).

    A plain maximum of gaps would grow with every metric added. Gaps without a lower limit take no part.

    Args:
        gaps: The family's gaps of one variant, from the same weights.
        level: Probability that no lower limit exceeds its true gap.
        seed: Of the yardstick terms.

    Raises:
        ValueError: If the gaps come from different numbers of resamples.

    >>> from bench.stats.interval import NO_INTERVAL
    >>> family_alarm([Gap(None, NO_INTERVAL, "there are no yardsticks")]).value is None
    True
    """
    known = [i for i, gap in enumerate(gaps) if gap.deviations is not None and gap.log_estimate is not None]
    if not known:
        return Alarm(None, None, (None,) * len(gaps), "no gap of the family has a lower limit")
    columns = []
    for index in known:
        gap = gaps[index]
        assert gap.deviations is not None
        random = generator("alarm", seed, index)
        freedom = gap.yardsticks - 1
        yardstick_term = gap.further_spread * random.standard_normal(gap.deviations.size)
        error = gap.further_error * np.sqrt(random.chisquare(freedom, gap.deviations.size) / freedom)
        moved = gap.deviations + yardstick_term
        columns.append(np.divide(moved, error, out=np.zeros_like(moved), where=error > 0))
    if len({column.size for column in columns}) > 1:
        raise ValueError("gaps of one family need the same resamples")
    quantile = max(0.0, max_t_quantile(np.stack(columns, axis=1), level))
    limits: list[float | None] = [None] * len(gaps)
    for index in known:
        gap = gaps[index]
        assert gap.log_estimate is not None
        limits[index] = exp((gap.log_estimate - quantile * gap.further_error) / gap.power)
    best = max(known, key=lambda index: limits[index] or 0.0)
    return Alarm(limits[best], best, tuple(limits))
