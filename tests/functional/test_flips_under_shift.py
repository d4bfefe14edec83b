import numpy as np
import pytest

from bench.functional.flips_under_shift import (
    classes_wrong,
    clustered_auroc,
    flip_auroc,
    flip_auroc_difference,
    flip_ratio,
    moved_area,
)
from bench.functional.ood_scores import lack_of_margin
from bench.stats.percentile import percentile_interval
from bench.stats.resampling import Resamples


def one_by_one(scores, flips, weights):
    """Every flip beside every version that does not flip, by the weights of both samples."""
    won = total = 0.0
    for i, k in np.argwhere(flips):
        for j, m in np.argwhere(~flips):
            pair = weights[i] * weights[j]
            total += pair
            won += pair * ((scores[i, k] > scores[j, m]) + 0.5 * (scores[i, k] == scores[j, m]))
    return won / total


def drawn(seed, n=12, versions=4):
    random = np.random.default_rng(seed)
    return np.round(random.random((n, versions)), 1), random.random((n, versions)) < 0.3, random


def test_the_area_of_a_samples_score_is_that_of_all_pairs_under_any_weights():
    for seed in range(5):
        scores, flips, random = drawn(seed)
        own = scores[:, 0]
        weights = random.multinomial(12, np.full(12, 1 / 12), size=4).astype(float)
        expected = [one_by_one(np.repeat(own[:, None], 4, axis=1), flips, row) for row in weights]
        np.testing.assert_allclose(flip_auroc(own, flips.mean(axis=1), weights), expected, atol=1e-12)


def test_a_score_beside_itself_and_its_opposite():
    scores, flips, _ = drawn(9)
    share, ones = flips.mean(axis=1), np.ones((1, 12))
    assert flip_auroc_difference(scores[:, 0], scores[:, 0], share, ones) == 0
    assert flip_auroc(-scores[:, 0], share, ones) == pytest.approx(1 - flip_auroc(scores[:, 0], share, ones)[0])


def test_the_area_of_versions_own_scores_and_its_influence():
    for seed in range(5):
        scores, flips, _ = drawn(seed)
        found = clustered_auroc(scores, flips)
        assert found.area == pytest.approx(one_by_one(scores, flips, np.ones(12)))
        assert abs(found.influence.sum()) < 1e-9
        for row in range(12):
            step = 1e-6
            weights = np.ones(12)
            weights[row] += step
            slope = (one_by_one(scores, flips, weights) - found.area) / step
            assert found.influence[row] / 12 == pytest.approx(slope, abs=1e-4)


@pytest.mark.parametrize("flips", [np.zeros((3, 2), dtype=bool), np.ones((3, 2), dtype=bool)])
def test_where_nothing_flips_or_all_there_is_no_area(flips):
    area, influence = clustered_auroc(np.ones((3, 2)), flips)
    assert np.isnan(area)
    assert not influence.any()
    assert np.isnan(flip_auroc(np.ones(3), flips.mean(axis=1), np.ones((1, 3)))).all()


def test_an_area_moves_within_its_range_and_to_first_order_by_the_move():
    moves = np.array([-3.0, -1e-6, 0.0, 1e-6, 3.0])
    found = moved_area(0.9, moves)
    assert (np.diff(found) > 0).all()
    np.testing.assert_allclose(found[1:4] - 0.9, moves[1:4], atol=1e-9)
    assert found[0] >= 0
    assert found[-1] <= 1
    assert (moved_area(1.0, np.zeros(5)) == 1).all()
    assert np.isnan(moved_area(float("nan"), np.zeros(5))).all()


def test_the_ratio_is_of_sums_and_undefined_without_clean_flips():
    shifted, clean = np.array([0.5, 0.25, 0.0]), np.array([1.0, 0.0, 0.0])
    weights = np.array([[1.0, 1.0, 1.0], [2.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
    np.testing.assert_array_equal(flip_ratio(shifted, clean, weights), [0.75, 0.5, np.nan])


def test_a_version_is_wrong_where_its_class_is_not_the_label():
    classes = np.array([[[1, 2], [1, 1]], [[0, 0], [0, 0]]])
    np.testing.assert_array_equal(classes_wrong(classes, np.array([1, 1])), [0.25, 1.0])


def test_margins_near_one_are_told_apart():
    log_p = np.log1p([[-1e-20, 0, 0], [-2e-20, 0, 0]])
    log_p[:, 1:] = np.log([[0.5e-20, 0.5e-20], [1e-20, 1e-20]])
    first, second = lack_of_margin(log_p)
    assert first == pytest.approx(1.5e-20)
    assert second == pytest.approx(3e-20)
    p = np.random.default_rng(0).dirichlet(np.ones(5), 50)
    top = np.sort(p, axis=1)[:, ::-1]
    np.testing.assert_allclose(lack_of_margin(np.log(p)), 1 - (top[:, 0] - top[:, 1]), atol=1e-12)


def test_intervals_of_ratio_and_areas_cover():
    """Versions of one sample go together: an interval that took them for independent would cover far less."""
    random, hits, rounds = np.random.default_rng(5), np.zeros(3), 60
    truth = None
    for trial in range(rounds + 1):
        n = 50_000 if trial == 0 else 150
        sure = random.normal(size=n)
        own = sure[:, None] + 0.5 * random.normal(size=(n, 8))
        ease = random.normal(size=n)
        flips = own + ease[:, None] + random.normal(size=(n, 8)) > 2.0
        clean = (sure + ease + random.normal(size=n) > 2.2).astype(float)
        share, ones = flips.mean(axis=1), np.ones((1, n))
        points = flip_ratio(share, clean, ones)[0], flip_auroc(sure, share, ones)[0]
        if trial == 0:
            area = clustered_auroc(own[:20_000], flips[:20_000])
            truth = np.array([*points, area.area])
            continue
        resamples = Resamples(n, 499, seed=trial)
        area = clustered_auroc(own, flips)
        draws = [
            resamples.statistic(flip_ratio, share, clean),
            resamples.statistic(flip_auroc, sure, share),
            moved_area(area.area, resamples.means(area.influence)),
        ]
        ends = [percentile_interval(each, samples=n) for each in draws]
        hits += [low <= value <= high for (low, high, _), value in zip(ends, truth, strict=True)]
    assert (hits >= 53).all(), hits  # of 60: at a coverage of 95 % fewer happen once in 500
