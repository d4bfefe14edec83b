"""Latencies of two runs on one machine, each beside its reference, round by round."""

from __future__ import annotations

from math import exp, log

from bench.gate.judgements import Answer
from bench.gate.paired_tests import rounds_ratio
from bench.results import Word
from bench.stats.mann_whitney import mann_whitney, shift_interval
from bench.store.samples import ValueSamples
from bench.wording import significant

SLOWER = 1.1  # the factor that a timing must change by
RARE = 0.002  # and the p-value that it must have


def judge_timing(before: ValueSamples, after: ValueSamples) -> Answer:
    """Latency over the reference's, round by round: Mann-Whitney p < 0.002 and a factor of 1.1."""
    old, new = rounds_ratio(before), rounds_ratio(after)
    moved, (low, high, _) = shift_interval(old, new)
    p_value = mann_whitney(old, new)
    assert low is not None
    assert high is not None
    sure = p_value < RARE
    word: Word = "regressed" if sure and moved > log(SLOWER) else "inconclusive"
    if sure and moved < -log(SLOWER):
        word = "improved"
    elif -log(SLOWER) <= low and high <= log(SLOWER):
        word = "same"
    factors = [significant(exp(min(max(part, -50.0), 50.0))) for part in (moved, low, high)]
    because = (
        f"{factors[0]} times as long as before [{factors[1]}, {factors[2]}], beside the reference; at most {SLOWER}"
    )
    return Answer(word, because, {"p_value": p_value, "not_worse": high <= log(SLOWER)})
