"""How many BatchNorms of published topologies fold."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from bench.batch_norm_folding.modules import fold_batch_norms
from bench.batch_norm_folding.onnx_files.folding import fold_onnx
from tests.batch_norm_folding import networks


def run(model, x):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    return session.run(None, {entry.name: x})[0].reshape(1, -1)


@pytest.mark.parametrize(
    ("name", "across", "folded", "left"),
    [
        ("resnet50", True, 53, 0),
        ("densenet121", False, 59, 62),  # as published: no fold passes a concatenation
        ("densenet121", True, 62, 59),  # one BatchNorm a block more: the block's others undo its map
        ("inception_v2", True, 69, 0),
        ("shufflenet", True, 49, 0),
    ],
)
def test_files(name, across, folded, left):
    model = networks.published(name)
    made, plan = fold_onnx(model, across_concatenation=across)
    assert (len(plan.folded), len(plan.kept)) == (folded, left)
    assert Counter(node.op_type for node in made.graph.node)["BatchNormalization"] == left
    onnx.checker.check_model(made)
    x = np.random.default_rng(1).normal(size=(1, 3, 224, 224)).astype(np.float32)
    before, now = run(model, x), run(made, x)
    assert np.abs(now - before).max() < 1e-4 * np.abs(before).max()
    assert before.argmax() == now.argmax()


def test_densenet_through_a_concatenation():
    """Behind each of the last three stems, a block's first BatchNorm goes into the convolution before the pool."""
    _, plan = fold_onnx(networks.published("densenet121"))
    through = [fold for fold in plan.folded if fold.undone_in]
    assert [len(fold.undone_in) for fold in through] == [12, 24, 16]
    assert all(len(fold.into) == 1 for fold in through)
    first_block = plan.kept[0].reason
    assert "MaxPool) makes what would have to change" in first_block
    assert "Relu) reads what would change" in first_block


def test_mobilenet_v2():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = networks.unsettle(networks.MobileNetV2()).double()
    folding = fold_batch_norms(module, (3, 32, 32))
    assert (len(folding.folded), len(folding.kept)) == (52, 0)
    assert {fold.direction for fold in folding.folded} == {"backward"}
    x = torch.randn(1, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted, found = module(x), folding.module(x)
    assert float((wanted - found).abs().max() / wanted.abs().max()) < 1e-10
