"""The Square attack on networks whose distances are known, and its books."""

from __future__ import annotations

import numpy as np
import pytest

from bench.functional.attacks.score_margins import wrong_score_margin
from bench.functional.attacks.square import square
from bench.functional.attacks.square_windows import changed_share, two_bumps, window_index, window_sides


def keyed(n):
    return [np.random.default_rng([5, i]) for i in range(n)]


class Linear:
    """A linear network of images, that counts the inputs which it is asked."""

    def __init__(self, shape, classes=4, seed=0, bias=0.1):
        random = np.random.default_rng(seed)
        self.weight = random.normal(size=(classes, int(np.prod(shape))))
        self.bias = bias * random.normal(size=classes)
        self.asked = 0

    def __call__(self, x):
        self.asked += len(x)
        flat = x.reshape(len(x), -1).astype(np.float64)
        return np.einsum("kd,nd->nk", self.weight, flat) + self.bias

    def distances(self, x, norm):
        """The exact distance to the nearest other class: margin over the dual norm of the difference of rows."""
        z = self(x)
        labels = z.argmax(axis=1)
        rows = self.weight[labels][:, None] - self.weight
        dual = np.abs(rows).sum(axis=2) if norm == "linf" else np.linalg.norm(rows, axis=2)
        away = (z[np.arange(len(z)), labels, None] - z) / np.where(dual > 0, dual, 1.0)
        return np.where(dual > 0, away, np.inf).min(axis=1), labels


def sizes(change, norm):
    flat = change.reshape(len(change), -1).astype(np.float64)
    return np.abs(flat).max(axis=1) if norm == "linf" else np.linalg.norm(flat, axis=1)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 4), (1, 1, 30), (30,)])
@pytest.mark.parametrize(("norm", "reach"), [("linf", 1.25), ("l2", 2.2)])
def test_a_linear_network_falls_above_its_distance_and_never_below(norm, reach, shape):
    """Samples whose exact distance is 1: all fall within ``reach``, none below 1, whatever is asked."""
    network = Linear(shape, bias=0.0)
    x = np.random.default_rng(1).normal(size=(40, *shape))
    x /= network.distances(x, norm)[0].reshape(-1, *[1] * len(shape))
    distance, labels = network.distances(x := x.astype(np.float32), norm)
    np.testing.assert_allclose(distance, 1, rtol=1e-5)
    options = {"queries": 2000, "norm": norm, "bounds": (-1e4, 1e4)}
    found = square(network, x, labels, keyed(40), epsilon=reach, **options)
    assert found.fell.all(), found.margin.min()
    assert (network(found.best).argmax(axis=1) != labels).all()
    found = square(network, x, labels, keyed(40), epsilon=0.999, **options)
    assert not found.fell.any()
    assert (found.queries == 2000).all()
    if norm == "linf":  # and what it found is nearly all that there is to find
        reached = 1 - found.margin / wrong_score_margin(network(x), labels)
        assert np.median(reached) > 0.9


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_what_it_finds_lies_in_the_ball_and_in_the_bounds(norm):
    network, x = Linear((3, 6, 6)), np.random.default_rng(2).random((40, 3, 6, 6)).astype(np.float32)
    labels = network(x).argmax(axis=1)
    seen = []

    def watched(points):
        seen.append(points.copy())
        return network(points)

    epsilon = {"linf": 0.05, "l2": 0.4}[norm]
    found = square(watched, x, labels, keyed(40), epsilon=epsilon, queries=150, norm=norm)
    assert 0 < found.fell.sum() < 40
    assert (sizes(found.best - x, norm) <= epsilon * (1 + 1e-5)).all()
    assert sizes(seen[0] - x, norm).max() > 0.9 * epsilon
    assert all(points.min() >= 0 and points.max() <= 1 for points in seen)
    np.testing.assert_array_equal(found.margin, wrong_score_margin(network(found.best), labels))
    np.testing.assert_array_equal(found.fell, network(found.best).argmax(axis=1) != labels)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_sample_does_not_depend_on_the_others_and_stops_when_it_fell(norm):
    network, x = Linear((1, 6, 6)), np.random.default_rng(3).random((30, 1, 6, 6)).astype(np.float32)
    labels = network(x).argmax(axis=1)
    options = {"epsilon": {"linf": 0.06, "l2": 0.25}[norm], "queries": 200, "norm": norm}
    network.asked = 0
    whole = square(network, x, labels, keyed(30), **options)
    assert network.asked == whole.queries.sum()
    assert 0 < whole.fell.sum() < 30
    assert (whole.queries[~whole.fell] == 200).all()
    assert whole.queries[whole.fell].max() < 200
    for order in (np.random.default_rng(0).permutation(30)[:11], [4], [17]):
        generators = keyed(30)
        part = square(network, x[order], labels[order], [generators[i] for i in order], **options)
        for one, other in zip(part, whole, strict=True):
            np.testing.assert_array_equal(one, other[order])


def test_scores_may_be_logits_or_log_probabilities():
    network, x = Linear((1, 6, 6)), np.random.default_rng(3).random((20, 1, 6, 6)).astype(np.float32)
    labels = network(x).argmax(axis=1)

    def log_probabilities(points):
        z = network(points)
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

    one, other = (
        square(ask, x, labels, keyed(20), epsilon=0.06, queries=100) for ask in (network, log_probabilities)
    )  # fmt: skip
    np.testing.assert_array_equal(one.queries, other.queries)
    np.testing.assert_array_equal(one.best, other.best)


def test_the_first_change_in_linf_is_stripes():
    x = np.full((2, 3, 4, 5), 0.5, dtype=np.float32)
    found = square(lambda points: np.tile([1.0, 0.0], (len(points), 1)), x, np.zeros(2, int), keyed(2),
                   epsilon=0.25, queries=1)  # fmt: skip
    assert (np.abs(found.best - 0.5) == 0.25).all()
    assert (found.best == found.best[:, :, :1]).all()
    assert (found.best[:, :, 0] != found.best[:, :1, 0]).any()
    assert found.queries.tolist() == [1, 1]


def test_every_pixel_is_reached():
    """The last row and column too, by windows of every side."""
    random, shape = np.random.default_rng(0), (2, 5, 7)
    for sides in ((1, 1), (3, 3), (5, 7), (1, 4)):
        hits = np.zeros((1000, *shape))
        hits[window_index(random.random((1000, 2)), sides, shape)] = 1
        assert (hits.sum(axis=(1, 2, 3)) == 2 * sides[0] * sides[1]).all()
        assert hits.any(axis=0).all()


def test_windows_become_smaller_as_published():
    """Half after steps 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 of 10,000."""
    shares = [
        changed_share(step, 10_000, 1.0) for step in (10, 11, 50, 51, 200, 500, 1000, 2000, 4000, 6000, 8000, 8001)
    ]
    assert [round(-np.log2(share)) for share in shares] == [0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9]
    assert window_sides(0.8, 28, 28) == (25, 25)
    assert window_sides(0.8, 4, 100) == (4, 80)
    assert window_sides(0.8, 100, 4) == (80, 4)
    assert window_sides(0.001, 28, 28) == (1, 1)


@pytest.mark.parametrize("sides", [(1, 1), (1, 6), (6, 1), (3, 3), (5, 5), (9, 9), (4, 7)])
def test_bumps_have_length_one_and_two_signs(sides):
    for pattern in (two_bumps(*sides), two_bumps(*sides, True)):
        assert pattern.shape == sides
        assert np.linalg.norm(pattern) == pytest.approx(1.0)
        assert max(sides) == 1 or (pattern.min() < 0 < pattern.max())


def test_bumps_are_the_sum_of_the_paper():
    """Ring by ring of a 5 x 10 pattern: the sum over k of 1 / (k + 1)² on squares of half side k."""

    def bump(height, width):
        made = np.zeros((height, width))
        for ring in range(max(height, width) // 2 + 1):
            for r in range(height):
                for s in range(width):
                    if abs(r - height // 2) <= ring and abs(s - width // 2) <= ring:
                        made[r, s] += 1 / (ring + 1) ** 2
        return made / np.linalg.norm(made)

    expected = np.concatenate([bump(2, 10), -bump(3, 10)])
    np.testing.assert_allclose(two_bumps(5, 10), expected / np.linalg.norm(expected), rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"epsilon": 0.0}, "epsilon"), ({"queries": 0}, "queries"), ({"generators": []}, "generators"),
     ({"x": np.zeros((2, 3, 4), dtype=np.float32)}, "give images")],
)  # fmt: skip
def test_what_it_cannot_do_it_says(change, said):
    given = {"x": np.zeros((2, 3), dtype=np.float32), "generators": keyed(2), "epsilon": 0.1, "queries": 5, **change}
    x, generators = given.pop("x"), given.pop("generators")
    with pytest.raises(ValueError, match=said):
        square(lambda points: np.zeros((len(points), 2)), x, np.zeros(2, int), generators, **given)
