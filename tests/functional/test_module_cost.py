from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from bench.functional.module_cost import multiply_accumulates, parameter_count, state_bytes, weight_bits


def test_counts_by_hand() -> None:
    module = nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2, padding=1, groups=2),  # out 6 x 4 x 4, 9 products each
        nn.BatchNorm2d(6),
        nn.ConvTranspose2d(6, 2, 2, stride=2, bias=False),  # in 6 x 4 x 4, 2 x 2 x 2 products each
        nn.Flatten(),
        nn.Linear(128, 10),
    ).eval()
    assert multiply_accumulates(module, (2, 8, 8)) == 96 * 9 + 96 * 8 + 1280
    assert parameter_count(module) == (54 + 6) + 12 + 48 + 1290
    assert weight_bits(module) == (32.0, 32.0)


def test_counting_leaves_the_module_alone() -> None:
    module = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 1, 3)).train()
    multiply_accumulates(module, (1, 4, 4))
    assert module.training
    assert not module[1]._forward_hooks
    assert module[0].num_batches_tracked == 0


def test_half_precision_weights_weigh_half() -> None:
    module = nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 10).half())
    assert weight_bits(module) == (24.0, 24.0)
    assert weight_bits(nn.ReLU()) is None


def test_bytes_are_those_of_the_file(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
    save_file(module.state_dict(), tmp_path / "m.safetensors")
    assert state_bytes(module) == (tmp_path / "m.safetensors").stat().st_size
    assert state_bytes(module.to(torch.float64)) > state_bytes(nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)))
