"""What a reader's weights say of its inputs."""

import numpy as np
import pytest

from bench.engine.layer_culprits.reader_weights import WeightPair, followed_by, shift_undone_by, undone_by
from bench.engine.layer_culprits.runs import Weights

RANDOM = np.random.default_rng(0)
W, BIAS = RANDOM.normal(size=(6, 4, 3, 3)), RANDOM.normal(size=6)
SCALE, SHIFT = np.array([3.0, -0.5, 1.0, 0.2]), np.array([0.0, 2.0, 0.0, -1.0])
OUTPUTS = np.array([1.0, 2.0, 0.5, 4.0, 1.0, 3.0])
UNDOING = OUTPUTS[:, None, None, None] * W / SCALE[:, None, None]


def _pair(variant, outputs=OUTPUTS):
    bias = OUTPUTS * (BIAS - (W.sum(axis=(2, 3)) / SCALE) @ SHIFT)
    return WeightPair.of(Weights(W, BIAS), Weights(variant, bias), outputs)


def test_scale_and_shift_are_read_from_what_undoes_them():
    pair = _pair(UNDOING)
    scale, left = undone_by([pair], 4)
    assert scale == pytest.approx(SCALE)
    assert left.max() < 1e-20
    sought = np.array([False, True, False, True])
    found = shift_undone_by(pair, SCALE, np.where(sought, 0.0, SHIFT), sought)
    assert found == pytest.approx(SHIFT)
    assert shift_undone_by(pair._replace(biases=None), SCALE, SHIFT, sought) is None


def test_outputs_of_a_flattened_value_are_found():
    for scale in (np.repeat(OUTPUTS, 5), OUTPUTS):
        assert undone_by([_pair(UNDOING, scale)], 4)[0] == pytest.approx(SCALE)


def test_a_channel_that_is_off_is_not_read():
    noisy = UNDOING.copy()
    noisy[:, 1] += 0.5 * RANDOM.normal(size=noisy[:, 1].shape)
    assert np.isnan(undone_by([_pair(noisy)], 4)[0]).tolist() == [False, True, False, False]


@pytest.mark.parametrize("fault", ["sign", "swapped", "times", "row", "rounded"])
def test_sizes_follow_whatever_else_is_wrong(fault):
    made = {
        "sign": -UNDOING,
        "swapped": UNDOING[::-1],
        "times": 9 * UNDOING,
        "row": UNDOING * np.array([30.0, 1, 1, 1, 1, 1])[:, None, None, None],
        "rounded": np.round(UNDOING / 0.5) * 0.5,
    }[fault]
    assert followed_by(_pair(made, np.ones(6)), SCALE)
    assert not followed_by(_pair(W * OUTPUTS[:, None, None, None], np.ones(6)), SCALE)


def test_other_shapes_are_no_pair():
    assert WeightPair.of(Weights(W, BIAS), Weights(W[:, :2], BIAS), None) is None
    assert WeightPair.of(None, Weights(W, BIAS), None) is None
