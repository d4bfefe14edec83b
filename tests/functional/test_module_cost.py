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
    assert multiply_accumulates(module, (2, 8, 8)).macs == 96 * 9 + 96 * 8 + 1280
    assert parameter_count(module) == (54 + 6) + 12 + 48 + 1290
    assert weight_bits(module) == (32.0, 32.0)


def test_attention_counts_by_hand() -> None:
    class Attended(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
            self.across = nn.MultiheadAttention(16, 2, kdim=8, vdim=4, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found = self.encoder(x.view(len(x), 4, 16))
            out: torch.Tensor = self.across(found, key=x.view(len(x), 8, 8), value=x.view(len(x), 8, 8)[..., :4])[0]
            return out.flatten(1)

    # projections, then queries by keys and weights by values
    encoder = 4 * 16 * (3 * 16) + 4 * 16 * 16 + 2 * 4 * 16 * 32 + 2 * 4 * 4 * 16
    across = 4 * 16 * 16 + 8 * 8 * 16 + 8 * 4 * 16 + 4 * 16 * 16 + 2 * 4 * 8 * 16
    assert multiply_accumulates(Attended().eval(), (1, 8, 8)).macs == encoder + across


class Functional(nn.Module):
    """Hardly a layer: a convolution, a product, attention and a product with a vector, all called as functions."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, 1, 3, 3))
        self.mix = nn.Parameter(torch.randn(8, 8))
        self.vector = nn.Parameter(torch.randn(8))
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.conv2d(x, self.kernel, padding=1).flatten(2).transpose(1, 2)
        x = nn.functional.linear(x, self.mix) + (x[0] @ self.vector)[:, None]
        x = x.unsqueeze(1)
        x = nn.functional.scaled_dot_product_attention(x, x, x).squeeze(1)
        made: torch.Tensor = self.head(x.mean(1))
        return made


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_functions_outside_of_layers_count_by_hand() -> None:
    """Of which the layers' own hooks see 40."""
    expected = 8 * 64 * 9 + 64 * 8 * 8 + 64 * 8 + 2 * 64 * 64 * 8 + 40
    module = Functional().eval()
    assert multiply_accumulates(module, (1, 8, 8)) == (expected, "")
    for made in (torch.jit.script(module), torch.jit.trace(module, torch.zeros(1, 1, 8, 8))):
        assert multiply_accumulates(made, (1, 8, 8)) == (expected, "")


def test_recurrent_layers_count_by_hand() -> None:
    """For each of 8 steps: 4 gates of 3 units from 8 inputs and 3 states; GRU has 3 gates."""
    for layer, gates in ((nn.LSTM(8, 3, batch_first=True), 4), (nn.GRU(8, 3, batch_first=True), 3)):
        assert multiply_accumulates(nn.Sequential(nn.Flatten(1, 2), layer), (1, 8, 8)).macs == 8 * gates * 3 * (8 + 3)


class Distances(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cdist(x[:, 0], x[:, 0])


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_an_operator_that_hides_its_products_leaves_no_number() -> None:
    found = multiply_accumulates(nn.Sequential(nn.Conv2d(1, 1, 3), Distances()), (1, 8, 8))
    assert found.macs is None
    assert "aten._cdist_forward" in found.reason
    quantised = nn.Sequential(nn.Flatten(), torch.ao.nn.quantized.dynamic.Linear(64, 3))
    assert "quantized.linear_dynamic" in multiply_accumulates(quantised, (1, 8, 8)).reason


def test_pooling_norms_and_resizing_do_not_count_and_hide_nothing() -> None:
    module = nn.Sequential(
        nn.Upsample(scale_factor=2, mode="bilinear"), nn.GroupNorm(1, 1), nn.AvgPool2d(2), nn.Softmax(-1), nn.GELU(),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 2, 3, padding=1)),
    ).eval()  # fmt: skip
    assert multiply_accumulates(module, (1, 8, 8)).macs == 2 * 64 * 9


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_counts_as_the_module_it_was_made_of() -> None:
    module = nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2, padding=1, groups=2), nn.ConvTranspose2d(6, 2, 2, stride=2, bias=False),
        nn.Linear(8, 3), nn.Flatten(), nn.Linear(48, 10, bias=False),
    ).eval()  # fmt: skip
    expected = 96 * 9 + 96 * 8 + 2 * 8 * 8 * 3 + 480
    assert multiply_accumulates(module, (2, 8, 8)).macs == expected
    for made in (torch.jit.script(module), torch.jit.trace(module, torch.zeros(2, 2, 8, 8)), nn.Sequential(module)):
        assert multiply_accumulates(made, (2, 8, 8)).macs == expected
        assert multiply_accumulates(nn.Sequential(made), (2, 8, 8)).macs == expected


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
