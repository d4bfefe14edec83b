"""Fold random networks, then compare: in torch and as a file, in float64."""

from collections import Counter

import numpy as np
import onnx
import pytest
import torch

from bench.batch_norm_folding.exactness import run_in_double
from bench.batch_norm_folding.modules import fold_batch_norms
from bench.batch_norm_folding.onnx_files.folding import fold_onnx
from tests.batch_norm_folding import networks

SHAPE = (3, 4, 4)
SEEDS = range(60)


def images(seed):
    return torch.randn(3, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def difference(found, wanted):
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def test_torch_networks_compute_the_same_and_every_kind_of_fold_occurs():
    seen = Counter()
    for seed in SEEDS:
        module, x = networks.random_network(seed), images(seed)
        folding = fold_batch_norms(module, SHAPE)
        with torch.no_grad():
            assert difference(folding.module(x).numpy(), module(x).numpy()) < 1e-10, seed
        norms = [name for name, layer in module.named_modules() if "BatchNorm" in type(layer).__name__]
        left = [name for name, layer in folding.module.named_modules() if "BatchNorm" in type(layer).__name__]
        assert sorted(kept.batch_norm for kept in folding.kept) == sorted(left)
        assert len(folding.folded) + len(left) == len(norms)
        for fold in folding.folded:
            seen[fold.direction, bool(fold.undone_in)] += 1
            seen["several"] += len(fold.into) > 1
        seen["kept"] += len(left)
    assert all(seen[kind] for kind in [("backward", False), ("backward", True), ("forward", False), ("forward", True)])
    assert seen["several"]
    assert seen["kept"]


@pytest.mark.parametrize("seed", range(16))
def test_files_compute_the_same(seed):
    model = networks.exported(networks.random_network(seed), SHAPE)
    before, x = model.SerializeToString(deterministic=True), images(seed).numpy()
    made, plan = fold_onnx(model)
    onnx.checker.check_model(made, full_check=True)
    assert model.SerializeToString(deterministic=True) == before, "the given model is not changed"
    assert difference(run_in_double(made, x), run_in_double(model, x)) < 1e-10
    norms = [sum(node.op_type == "BatchNormalization" for node in each.graph.node) for each in (model, made)]
    assert norms == [len(plan.folded) + len(plan.kept), len(plan.kept)]
