"""Modal labels, exemplars and recall over networks, beside counts by hand and scipy's randomisation test."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from scipy.stats import permutation_test

from bench.stats.class_recall import recall_harms
from bench.stats.exemplars import by_retraining, identified_exemplars, modal_labels, swap_p_value
from bench.stats.multiplicity import holm
from bench.stats.paired_swaps import sign_flip_p_values, swaps


def mode_by_hand(classes):
    (first, votes), *rest = Counter(classes).most_common()
    return None if rest and rest[0][1] == votes else first


@pytest.mark.parametrize("seed", range(20))
def test_modal_labels_and_exemplars_by_hand(seed):
    random = np.random.default_rng(seed)
    sides = random.integers(0, 4, (2, int(random.integers(1, 8)), 30))
    found = identified_exemplars(*sides)
    for row in range(30):
        modes = [mode_by_hand(side[:, row].tolist()) for side in sides]
        for made, mode in zip((found.reference, found.variant), modes, strict=True):
            assert made.tied[row] == (mode is None)
            assert made.label[row] == (-1 if mode is None else mode)
        assert found.found[row] == (None not in modes and modes[0] != modes[1])


def test_a_tie_does_not_hang_on_the_number_of_a_class():
    """The published code takes the larger number; then names of classes would decide what an exemplar is."""
    classes = np.array([[3], [3], [5], [5]])
    assert modal_labels(classes).tied.all()
    assert not identified_exemplars(classes, np.full((4, 1), 3)).found.any()
    assert identified_exemplars(np.full((4, 1), 5), np.full((4, 1), 3)).found.all()


@pytest.mark.parametrize("seed", range(10))
def test_the_swap_test_by_enumeration(seed):
    random = np.random.default_rng(seed)
    reference, variant = random.integers(0, 3, (2, 5, 12))

    def apart(first, second):
        votes = [(side[:, :, None] == np.arange(3)).sum(axis=0) for side in (first, second)]
        return np.abs(votes[0] - votes[1]).sum()

    every = []
    for swapped in product((False, True), repeat=5):
        mask = np.array(swapped)[:, None]
        every.append(apart(np.where(mask, variant, reference), np.where(mask, reference, variant)))
    assert swap_p_value(reference, variant) == np.mean(np.array(every) >= apart(reference, variant))


def test_the_swap_test_is_exact_where_nothing_was_done(at_least):
    random = np.random.default_rng(1)
    hits = sum(swap_p_value(*random.integers(0, 2, (2, 10, 15))) <= 0.05 for _ in range(300))
    assert at_least(300 - hits, 300, 0.95)


def test_a_uniform_change_is_found_though_half_a_swap_leaves_it():
    reference, variant = np.zeros((10, 40), int), np.zeros((10, 40), int)
    variant[:, :5] = 1
    assert swap_p_value(reference, variant) == 2 / 1024


def test_what_retraining_alone_would_do_within_a_factor_of_two():
    """Two further populations of ten, drawn as the references were."""
    random = np.random.default_rng(2)
    share = np.r_[np.zeros(300), random.beta(1, 1, 60)]

    def population():
        return (random.random((10, 360)) < share).astype(int)

    truth = np.mean([identified_exemplars(population(), population()).number for _ in range(40)])
    told = np.mean([by_retraining(population()) for _ in range(10)])
    assert truth > 3
    assert truth / 2 < told < 2 * truth, (truth, told)


@pytest.mark.parametrize("seed", range(5))
def test_sign_flips_are_scipys(seed):
    random = np.random.default_rng(seed)
    differences = random.normal(0.5, 1, (8, 3))
    theirs = permutation_test(
        (differences, np.zeros_like(differences)), lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples", n_resamples=np.inf, axis=0,
    )  # fmt: skip
    assert sign_flip_p_values(differences, swaps(8, 2**14)) == pytest.approx(theirs.pvalue)


def test_drawn_swaps_hold_the_identity_and_are_keyed():
    drawn = swaps(30, 500, "a", 1)
    assert not drawn[0].any()
    assert 0.45 < drawn.mean() < 0.55
    assert (drawn == swaps(30, 500, "a", 1)).all()
    assert (drawn != swaps(30, 500, "a", 2)).any()


def test_the_class_that_was_harmed_is_named_and_no_other_is_sure(at_least):
    """Both lose everywhere; one class loses 30 points more. Over many draws Holm holds false names to 5 %."""
    random = np.random.default_rng(4)
    labels = np.repeat(np.arange(5), 60)
    wrong = 0
    for turn in range(60):
        planted = turn % 2 == 0
        before = random.random((10, 300)) < 0.9
        chance = np.where((labels == 2) & planted, 0.5, 0.8)
        after = random.random((10, 300)) < chance
        found = recall_harms(before, after, labels)
        if planted:
            harmed = found[2]
            assert harmed.harm == pytest.approx(0.3 * 0.8, abs=0.08)
            assert harmed.p_adjusted < 0.05
            assert harmed.interval.low > 0
        else:
            wrong += any(item.p_adjusted < 0.05 for item in found)
    assert at_least(30 - wrong, 30, 0.95)


def test_harm_by_hand():
    before = np.array([[1, 1, 1, 0], [1, 1, 1, 1]], bool)
    after = np.array([[1, 0, 1, 0], [0, 0, 1, 1]], bool)
    first, second = recall_harms(before, after, np.array([0, 0, 1, 1]))
    assert (first.reference, first.variant, second.reference, second.variant) == (1.0, 0.25, 0.75, 0.75)
    assert first.harm == pytest.approx(0.75 - 0.375)
    assert second.harm == pytest.approx(-0.375)
    assert (first.p_value, first.p_adjusted) == (0.5, 1.0)
    before, after = np.ones((6, 6), bool), np.ones((6, 6), bool)
    after[:, :2], after[:3, 2:4] = False, False
    found = recall_harms(before, after, np.repeat([0, 1, 2], 2))
    assert [item.p_adjusted for item in found] == holm([item.p_value for item in found])
    assert found[0].p_adjusted == 3 * 2 / 2**6


def test_no_change_is_no_harm_and_has_no_interval():
    right = np.ones((10, 20), bool)
    for item in recall_harms(right, right, np.repeat([0, 1], 10)):
        assert (item.harm, item.p_value, item.p_adjusted, item.interval.low) == (0.0, 1.0, 1.0, None)


def test_shapes_that_do_not_fit_are_refused():
    right = np.ones((10, 20), bool)
    with pytest.raises(ValueError, match=r"\(10, 20\)"):
        recall_harms(right, right, np.zeros(19, int))
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        identified_exemplars(np.zeros((2, 3), int), np.zeros((3, 3), int))
    with pytest.raises(ValueError, match="0 pairs"):
        swaps(0, 5)
