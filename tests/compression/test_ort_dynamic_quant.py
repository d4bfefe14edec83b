import pytest
import torch

from bench.compression.base import steps
from bench.runtimes.base import Target
from bench.runtimes.onnx_operators import integer_kernels
from bench.runtimes.opening import open_predictor

EDGE = Target(name="edge", runtime="onnxruntime")


@pytest.mark.parametrize("file", ["pool", "pool-dynamo"])
def test_a_sample_does_not_depend_on_its_company(files, context, digits, file):
    made, record = steps.get("ort-dynamic-quant")().apply(files[file], context)
    predictor = open_predictor(made, EDGE)
    assert predictor.spec.batch_dependent
    x = torch.from_numpy(digits.evaluation.x[:12])
    alone = torch.cat([predictor.logits(image[None]) for image in x], dim=1)
    assert torch.equal(predictor.logits(x), alone)
    assert torch.equal(predictor.logits(x.flip(0)).flip(1), alone)
    assert not torch.equal(predictor.forward(x), alone)  # one range for all of them: another function
    assert record["activation_ranges"] == "of each call"


def test_integers_really_run(files, context):
    record = steps.get("ort-dynamic-quant")().apply(files["pool"], context)[1]
    assert record["running_operators"]["ConvInteger"] == 2
    assert record["integer_kernels"] == 3  # and the linear layer; what only quantises does not count
    assert integer_kernels({"DynamicQuantizeLinear": 4, "DynamicQuantizeMatMul": 1}) == 1


def test_seven_bits_avoid_saturation(files, context, digits):
    import onnx
    from onnx import numpy_helper

    sizes = {}
    for reduced in (True, False):
        made, _ = steps.get("ort-dynamic-quant")(reduce_range=reduced).apply(files["mlp"], context)
        tensors = [numpy_helper.to_array(t) for t in onnx.load_model_from_string(made.model).graph.initializer]
        sizes[reduced] = max(int(abs(t.astype(int)).max()) for t in tensors if t.dtype.name == "int8" and t.ndim > 1)
    assert sizes[True] <= 64 < sizes[False] <= 128
