"""The least-squares map of each channel, and when it counts."""

import numpy as np
import pytest

from bench.engine.layer_culprits.channel_maps import fit

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 3, 5, 5))
SCALE, SHIFT = np.array([2.0, -0.5, 1.0])[:, None, None], np.array([0.0, 1.0, 0.0])[:, None, None]


def test_the_maps_that_were_made_are_found_and_led_back():
    y = SCALE * X + SHIFT
    found = fit([X[:10], X[10:]], [y[:10], y[10:]])
    assert found.axis == 1
    assert (found.exact.tolist(), found.moved.tolist()) == ([True] * 3, [True, True, False])
    own = found.as_map()
    assert own.scale == pytest.approx(SCALE.ravel())
    assert own.moved == 2
    assert own.back(y) == pytest.approx(X)
    assert own.forward(X) == pytest.approx(y)


def test_channels_of_tokens_are_the_last_axis():
    x = X.reshape(40, 15, 5)
    y = x * [1.0, 3.0, 1.0, 1.0, 0.2]
    for axis in (None, -1):
        found = fit([x], [y], axis)
        assert (found.axis, found.moved.tolist()) == (2, [False, True, False, False, True])


def test_noise_is_no_map():
    y = SCALE * (X + 0.1 * RANDOM.normal(size=X.shape)) + SHIFT
    found = fit([X], [y], 1)
    assert not found.exact.any()
    assert found.as_map() is None


def test_small_noise_of_a_layer_does_not_move_it():
    found = fit([X], [1.01 * X + 0.005 * RANDOM.normal(size=X.shape)], 1)
    assert found.exact.all()
    assert not found.moved.any()


def test_two_values_do_not_make_a_map():
    x = np.zeros((40, 2))
    x[3], x[5] = [1.0, 0.0], [0.5, 2.0]
    assert not fit([x], [x * [3.0, 3.0]]).exact.any()


def test_constants_are_apart_by_a_shift_and_a_dead_channel_is_not_explained():
    x, y = np.ones((40, 2)), np.full((40, 2), 3.0)
    x[:, 1] = RANDOM.normal(size=40)
    found = fit([x], [y])
    assert (found.exact.tolist(), found.scale[0], found.shift[0]) == ([True, False], 1.0, 2.0)


def test_what_is_not_finite_is_not_explained():
    y = SCALE * X + SHIFT
    y[0, 0, 0, 0] = np.nan
    found = fit([X], [y], 1)
    assert found.exact.tolist() == [False, True, True]
