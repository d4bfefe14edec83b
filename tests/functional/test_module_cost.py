from __future__ import annotations

from pathlib import Path

import pytest
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


def test_projections_of_attention_count_by_hand() -> None:
    class Attended(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
            self.across = nn.MultiheadAttention(16, 2, kdim=8, vdim=4, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found = self.encoder(x.view(len(x), 4, 16))
            out: torch.Tensor = self.across(found, key=x.view(len(x), 8, 8), value=x.view(len(x), 8, 8)[..., :4])[0]
            return out.flatten(1)

    encoder = 4 * 16 * (3 * 16) + 4 * 16 * 16 + 2 * 4 * 16 * 32
    across = 4 * 16 * 16 + 8 * 8 * 16 + 8 * 4 * 16 + 4 * 16 * 16
    assert multiply_accumulates(Attended().eval(), (1, 8, 8)) == encoder + across


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_counts_as_the_module_it_was_made_of() -> None:
    module = nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2, padding=1, groups=2), nn.ConvTranspose2d(6, 2, 2, stride=2, bias=False),
        nn.Linear(8, 3), nn.Flatten(), nn.Linear(48, 10, bias=False),
    ).eval()  # fmt: skip
    expected = 96 * 9 + 96 * 8 + 2 * 8 * 8 * 3 + 480
    assert multiply_accumulates(module, (2, 8, 8)) == expected
    for made in (torch.jit.script(module), torch.jit.trace(module, torch.zeros(2, 2, 8, 8)), nn.Sequential(module)):
        assert multiply_accumulates(made, (2, 8, 8)) == expected
        assert multiply_accumulates(nn.Sequential(made), (2, 8, 8)) == expected


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
