import pytest

from bench.errors import NotApplicable, UserError
from bench.runtimes.base import Target, runtimes
from bench.runtimes.opening import open_predictor


def test_both_runtimes_are_registered():
    assert {"torch", "onnxruntime"} <= set(runtimes.names())


def test_unknown_runtime_names_the_nearest():
    with pytest.raises(UserError, match=r"edge.runtime: unknown runtime 'onnxruntim'; did you mean 'onnxruntime'"):
        open_predictor(object(), Target(name="edge", runtime="onnxruntim"))


def test_a_kind_the_runtime_cannot_run(network, quantised, exported):
    edge = Target(name="edge", runtime="onnxruntime")
    with pytest.raises(NotApplicable, match="not torch; export it with onnx-export first"):
        open_predictor(network, edge)
    with pytest.raises(NotApplicable, match="not torch-quantised"):
        open_predictor(quantised, edge)
    with pytest.raises(NotApplicable, match="runtime 'torch' runs torch and torch-quantised networks, not onnx"):
        open_predictor(exported, Target(name="torch"))
