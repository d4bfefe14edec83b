import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper, numpy_helper

from bench.compression.onnx_runtime.four_bits import pack, round_blocks, round_channels

FINITE = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)


def spread(parts, shape, axis, block):
    """Scales or zero points, one an element of the weight."""
    if not block:
        return parts.reshape([-1 if index == axis else 1 for index in range(len(shape))])
    return np.repeat(parts, block, axis=axis).take(range(shape[axis]), axis=axis)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, (5, 7), elements=FINITE), st.booleans(), st.sampled_from([0, 2, 3]), st.sampled_from([0, 1]))
def test_rounding_is_to_the_nearest(weight, symmetric, block, axis):
    rounded = round_blocks(weight, axis, block, symmetric) if block else round_channels(weight, axis, symmetric)
    scale = spread(rounded.scale, weight.shape, axis, block).astype(np.float64)
    zero = spread(rounded.zero, weight.shape, axis, block).astype(np.float64)
    again = scale * (rounded.integers - zero)
    limits = (-7, 7) if symmetric else (0, 15)
    assert limits[0] <= rounded.integers.min() <= rounded.integers.max() <= limits[1]
    # an asymmetric range loses up to half a step more at one end: its zero point is rounded too
    assert (np.abs(again - weight) <= (0.5 if symmetric else 1.0) * scale * (1 + 1e-4)).all()
    assert not again[weight == 0].any()
    if symmetric and np.abs(weight).max() > 1e-3:  # the whole range is used: the largest weight is met
        assert np.abs(again).max() == pytest.approx(np.abs(weight).max(), rel=1e-5)


def test_nibbles_are_stored_as_onnx_stores_them():
    values = np.arange(-8, 7, dtype=np.int8)
    packed = helper.make_tensor("t", TensorProto.INT4, values.shape, pack(values), raw=True)
    assert numpy_helper.to_array(packed).astype(np.int8).tolist() == values.tolist()
