"""Channel partitions: equal sizes, every channel used, fair shares, and what overlap means."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from bench.functional.members.overlap import mean_overlap, pairwise_overlap
from bench.functional.members.partitions import member_size, partition

KINDS = ("importance", "random", "contiguous")


def cases(number, divides=False):
    random = np.random.default_rng(7)
    for _ in range(number):
        members = int(random.integers(2, 9))
        channels = int(random.integers(members, 70)) // (members if divides else 1) * (members if divides else 1)
        yield members, random.choice([random.random(channels), random.pareto(1.0, channels)]), float(random.random())


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_are_equal_and_channels_are_used_evenly(kind):
    for members, importance, overlap in cases(150):
        held = partition(importance, members, overlap, kind)
        channels, size = len(importance), member_size(len(importance), members, overlap)
        assert (held.sum(axis=1) == size).all()
        used = held.sum(axis=0)
        assert used.min() >= 1
        assert set(used) <= {members * size // channels, members * size // channels + 1}
        assert size == max(
            round(channels / members + overlap * (channels - channels / members)), -(-channels // members)
        )


def test_kinds_share_equally_many_channels():
    for members, importance, overlap in cases(80):
        shared = []
        for kind in KINDS:
            held = partition(importance, members, overlap, kind).astype(int)
            shared.append(np.triu(held @ held.T, 1).sum())
        assert shared[0] == shared[1] == shared[2]


@pytest.mark.parametrize("kind", KINDS)
def test_the_ends_of_overlap(kind):
    for members, importance, _ in cases(60, divides=True):
        disjoint = partition(importance, members, 0, kind)
        assert (disjoint.sum(axis=0) == 1).all()
        assert (pairwise_overlap(disjoint) == 0).all()
        assert partition(importance, members, 1, kind).all()
    overlaps = [mean_overlap(partition(np.ones(48), 4, share, kind)) for share in np.linspace(0, 1, 13)]
    assert (np.diff(overlaps) > 0).all()


def test_disjoint_members_have_sums_within_one_channel():
    for members, importance, _ in cases(300, divides=True):
        sums = partition(importance, members, 0) @ importance
        assert np.ptp(sums) <= importance.max() - importance.min() + 1e-9 * importance.max()


def test_overlapping_members_have_sums_within_one_channel():
    for members, importance, overlap in cases(200):
        sums = partition(importance, members, max(overlap, 1e-9)) @ importance
        assert np.ptp(sums) <= importance.max() * (1 + 1e-9)


@pytest.mark.parametrize("kind", ["importance", "random"])
def test_all_pairs_overlap_about_alike(kind):
    """Dealt by size and importance alone, four members with two of four shares each are twice the same two."""
    for overlap in (0.15, 1 / 3, 0.6, 0.9):
        for seed in range(10):
            held = partition(np.random.default_rng(seed).random(48), 4, overlap, kind, seed).astype(int)
            shared = (held @ held.T)[np.triu_indices(4, 1)]
            assert np.ptp(shared) <= 2


def test_importance_is_dealt_more_fairly_than_at_random():
    importance = np.random.default_rng(0).random(64)
    fair = np.ptp(partition(importance, 4, 0) @ importance)
    assert all(np.ptp(partition(importance, 4, 0, "random", seed) @ importance) > fair for seed in range(50))
    assert np.ptp(partition(np.sort(importance), 4, 0, "contiguous") @ np.sort(importance)) > 10 * fair


def test_every_random_partition_is_equally_likely():
    """Six channels as two ordered members of three: C(6, 3) = 20 partitions."""
    drawn = [tuple(partition(np.ones(6), 2, 0, "random", seed)[0]) for seed in range(2000)]
    counts = np.unique(drawn, axis=0, return_counts=True)[1]
    assert len(counts) == 20
    assert ((counts - 100) ** 2 / 100).sum() < 43.8  # chi-squared, 19 degrees of freedom, 1 in 1000


def test_a_fair_deal_does_not_depend_on_the_order_of_channels():
    importance = np.array([8.0, 5.0, 3.0, 2.0, 1.0, 0.5])
    wanted = partition(importance, 3, 0.25)
    for order in list(permutations(range(6)))[::37]:
        assert (partition(importance[list(order)], 3, 0.25) == wanted[:, list(order)]).all()


def test_random_partitions_belong_to_seed_and_layer():
    first = partition(np.ones(32), 4, 0.2, "random", 1, "a")
    assert (first == partition(np.arange(32.0), 4, 0.2, "random", 1, "a")).all()
    assert (first != partition(np.ones(32), 4, 0.2, "random", 2, "a")).any()
    assert (first != partition(np.ones(32), 4, 0.2, "random", 1, "b")).any()


def test_what_has_no_partition_is_refused():
    with pytest.raises(ValueError, match="6 channels are not 4 equal disjoint shares; 4 or 8 channels are"):
        partition(np.ones(6), 4, 0)
    assert (partition(np.ones(6), 4, 0.01).sum(axis=1) == 2).all()
    with pytest.raises(ValueError, match="3 channels for 4 members"):
        partition(np.ones(3), 4, 0.5)
    with pytest.raises(ValueError, match=r"overlap 1\.5"):
        partition(np.ones(8), 4, 1.5)
    with pytest.raises(ValueError, match="'serpentine'"):
        partition(np.ones(8), 4, 0, "serpentine")
    for wrong in ([1.0, np.nan], [1.0, -1.0], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match="importance of shape"):
            partition(np.array(wrong), 2, 0)
