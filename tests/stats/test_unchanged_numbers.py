"""Numbers of version 0.1: how the resamples are drawn and summed must change none of them."""

from __future__ import annotations

import numpy as np
import pytest

from bench.stats.change import added_change, change
from bench.stats.gap import gap
from bench.stats.harm import harm
from bench.stats.ratio import paired_ratio
from bench.stats.resampling import Resamples

OLD = {
    (300, 1000): {
        "change": (0.2006884691950849, 0.17245079477746886, 0.2334005710579667),
        "gap": (1.4198739618874128, 1.263802381732397, 1.5952193925147578, 1.2602122257331698),
        "ratio": (0.9540574084090478, 0.8369629025246506, 1.087748204112128),
        "added": (-0.0009325398974084353, -0.05164772212477907, 0.05066821606341972),
        "harm": (-0.05223887903266957, 0.04983781913183299),
    },
    (9000, 300): {
        "change": (0.19958581332571587, 0.193834344982467, 0.20476121072488085),
        "gap": (1.414517275947953, 1.3787921374203373, 1.451168069248452, 1.3787865897229037),
        "ratio": (0.9537103799528973, 0.9349400120895225, 0.9786011132787396),
        "added": (-5.096450485103654e-05, -0.00836174518127535, 0.01007903279201399),
        "harm": (-0.010090326246860664, 0.008224117309511626),
    },
}


@pytest.mark.parametrize(("n", "draws"), OLD)
@pytest.mark.parametrize("ahead", [False, True])
def test_every_figure_is_what_it_was(n: int, draws: int, ahead: bool) -> None:
    d = ((np.arange(6 * n).reshape(6, n) * 7919) % 1009 / 1009) ** 4
    resamples = Resamples(n, draws)
    if ahead:
        resamples = resamples.ahead([d, 2 * d])
    known = change(d[0], resamples)
    scaled = gap(d[0] * 2, d[1:5], resamples, power=2)
    ratio = paired_ratio(d[0], d[5] * 1.1, resamples, power=2)
    more = added_change(d[0], d[1], resamples)
    figures = [float(row.mean()) for row in d[:2]]
    found = {
        "change": (known.estimate, *known.interval[:2]),
        "gap": (scaled.gap, *scaled.interval[:2], scaled.further),
        "ratio": (ratio.estimate, *ratio.interval[:2]),
        "added": (more.estimate, *more.interval[:2]),
        "harm": harm(*figures, *resamples.means(d[:2]), better="lower", samples=n).interval[:2],
    }
    for name, figures in found.items():  # other processors add in another order
        assert figures == pytest.approx(OLD[n, draws][name], rel=1e-11, abs=1e-14)
