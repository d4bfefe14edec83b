"""Figures of pairs of members against numpy, scikit-learn, hand counts and members that are independent by design."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, mutual_info_score

from bench.errors import NotApplicable
from bench.functional.member_predictions import pairwise_disagreement
from bench.functional.members.independence import (
    class_information,
    class_information_bias,
    error_conditioned_disagreement,
    error_correlation,
    kappa,
    mean_over_pairs,
    q_statistic,
)

OF_LABELS = (
    error_correlation,
    q_statistic,
    error_conditioned_disagreement,
    class_information,
    class_information_bias,
)


def members(n=400, number=4, classes=5, common=0.3, seed=0):
    """Members of error rate .3 that copy a common answer in a share of the samples."""
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=n)

    def answers():
        return np.where(random.random(n) < 0.3, random.integers(classes, size=n), labels)

    shared = answers()
    return np.stack([np.where(random.random(n) < common, shared, answers()) for _ in range(number)], axis=1), labels


def test_each_pair_is_that_of_the_references():
    table, labels = members()
    pairs = list(combinations(range(4), 2))
    wrong = table != labels[:, None]
    phi = [np.corrcoef(wrong[:, i], wrong[:, j])[0, 1] for i, j in pairs]
    assert error_correlation(table, labels) == pytest.approx(phi)
    assert kappa(table) == pytest.approx([cohen_kappa_score(table[:, i], table[:, j]) for i, j in pairs])
    information = [
        sum(
            (labels == y).mean() * mutual_info_score(table[labels == y, i], table[labels == y, j])
            for y in np.unique(labels)
        )
        for i, j in pairs
    ]
    assert class_information(table, labels) == pytest.approx(information)
    for pair, (i, j) in enumerate(pairs):
        either = [k for k in range(len(labels)) if wrong[k, i] or wrong[k, j]]
        differ = sum(table[k, i] != table[k, j] for k in either)
        assert error_conditioned_disagreement(table, labels)[pair] == pytest.approx(differ / len(either))
        n11, n00 = (~wrong[:, i] & ~wrong[:, j]).sum(), (wrong[:, i] & wrong[:, j]).sum()
        odds = n11 * n00 / ((wrong[:, i] & ~wrong[:, j]).sum() * (~wrong[:, i] & wrong[:, j]).sum())
        assert q_statistic(table, labels)[pair] == pytest.approx((odds - 1) / (odds + 1))


def test_disagreement_stands_where_it_stood():
    """All pairs differ only where one errs: disagreement = conditioned disagreement x share of such samples."""
    table, labels = members(number=2)
    wrong = table != labels[:, None]
    either = wrong.any(axis=1).mean()
    whole = pairwise_disagreement(table).mean()
    assert error_conditioned_disagreement(table, labels)[0] * either == pytest.approx(whole)


def test_independent_members_have_figures_of_independence():
    table, labels = members(n=200_000, common=0.0)
    assert error_correlation(table, labels) == pytest.approx(0, abs=0.01)
    assert q_statistic(table, labels) == pytest.approx(0, abs=0.04)
    assert class_information(table, labels) == pytest.approx(0, abs=5e-4)
    close, labels = members(n=200_000, common=0.8)
    assert (error_correlation(close, labels) > 0.5).all()
    assert (class_information(close, labels) > 0.1).all()


def test_the_bias_of_information_is_what_it_is_said_to_be():
    """Of independent members all information is bias: the mean over 100 draws of 500 samples."""
    drawn = [members(n=500, common=0.0, seed=seed) for seed in range(100)]
    measured = np.mean([class_information(*one) for one in drawn])
    said = np.mean([class_information_bias(*one) for one in drawn])
    assert said == pytest.approx(5 * 16 / 1000, rel=0.02)  # five labels, five classes each
    assert measured == pytest.approx(said, rel=0.1)


def test_equal_members():
    table, labels = members(number=1)
    same = np.repeat(table, 2, axis=1)
    assert error_correlation(same, labels) == pytest.approx([1])
    assert q_statistic(same, labels) == pytest.approx([1])
    assert kappa(same) == pytest.approx([1])
    assert error_conditioned_disagreement(same, labels) == pytest.approx([0])


def test_complementary_errors():
    labels = np.zeros(4, dtype=int)
    table = np.array([[0, 1], [1, 0], [0, 1], [1, 0]])
    assert error_correlation(table, labels) == pytest.approx([-1])
    assert q_statistic(table, labels) == pytest.approx([-1])
    assert kappa(table) == pytest.approx([-1])
    assert error_conditioned_disagreement(table, labels) == pytest.approx([1])


def test_figures_that_do_not_exist_are_counted():
    labels = np.array([0, 0, 1, 1])
    table = np.array([[0, 0, 1], [0, 1, 0], [1, 1, 1], [1, 1, 0]])  # the first never errs
    figures = error_correlation(table, labels)
    assert np.isnan(figures).tolist() == [True, True, False]
    assert mean_over_pairs(figures) == (pytest.approx(figures[2]), 1, 2)
    right = np.stack([labels, labels], axis=1)
    for figure in (error_correlation, q_statistic, error_conditioned_disagreement):
        with pytest.raises(NotApplicable, match="none of 1 pairs"):
            mean_over_pairs(figure(right, labels))
    assert class_information(right, labels) == pytest.approx([0])
    assert np.isnan(kappa(np.zeros((3, 2), dtype=int))).all()
    assert kappa(np.array([[0, 1], [0, 1]])) == pytest.approx([0])


def test_order_of_samples_and_names_of_classes_do_not_matter():
    table, labels = members()
    order = np.random.default_rng(1).permutation(len(labels))
    names = np.array([70, 3, 11, 500, 4])
    for figure in OF_LABELS:
        wanted = figure(table, labels)
        assert figure(table[order], labels[order]) == pytest.approx(wanted)
        assert figure(names[table], names[labels]) == pytest.approx(wanted)
    assert kappa(names[table]) == pytest.approx(kappa(table))


@pytest.mark.parametrize("figure", [*OF_LABELS, lambda classes, _: kappa(classes)])
def test_what_has_no_pairs_is_refused(figure):
    with pytest.raises(NotApplicable, match="one member"):
        figure(np.zeros((3, 1), dtype=int), np.zeros(3, dtype=int))
    with pytest.raises(NotApplicable, match="no sample"):
        figure(np.zeros((0, 2), dtype=int), np.zeros(0, dtype=int))
    with pytest.raises(ValueError, match=r"needed|same samples"):
        figure(np.zeros(3, dtype=int), np.zeros(3, dtype=int))
    if figure in OF_LABELS:
        with pytest.raises(ValueError, match="same samples"):
            figure(np.zeros((3, 2), dtype=int), np.zeros(4, dtype=int))
