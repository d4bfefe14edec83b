"""The vision transformer: its size, its attention, its tokens, its bad parameters."""

import pydantic
import pytest
import torch
from torch.nn import functional

from bench.errors import UserError
from bench.models.training import initialise
from bench.models.vit_tiny import VitTiny
from bench.networks.network import InputSpec

TEN = tuple("0123456789")


def build(shape=(1, 8, 8), **choices):
    return initialise(VitTiny(**choices), InputSpec(shape=shape, classes=TEN), 0)


def test_size():
    module = build((1, 28, 28))
    block = 2 * 2 * 48 + 4 * 48 * 48 + 3 * 48 + 48 + 2 * 48 * 96 + 96 + 48
    wanted = (16 * 48 + 48) + 49 * 48 + 4 * block + 2 * 48 + 49 * 10
    assert sum(p.numel() for p in module.parameters()) == wanted == 79_594


def test_attention_is_the_usual_one():
    """Separate layers for each head compute what one large layer, cut into heads, computes."""
    attend = build(width=12, heads=3, depth=1).get_submodule("attention1.inner.attend")
    x = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(0))
    query, key, value = (
        torch.stack([getattr(head, name)(x) for head in attend.heads], dim=1) for name in ("query", "key", "value")
    )
    mixed = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(2, 5, 12)
    weight = torch.cat([head.project.weight for head in attend.heads], dim=1)
    wanted = functional.linear(mixed, weight, attend.heads[0].project.bias)
    torch.testing.assert_close(attend(x), wanted)
    assert [head.project.bias is None for head in attend.heads] == [False, True, True]


def test_tokens_are_patches_with_a_position():
    module = build((1, 4, 6), patch=2, width=4, heads=1)
    x = torch.rand(2, 1, 4, 6, generator=torch.Generator().manual_seed(0))
    tokens = module.tokens(module.patches(x))
    assert tokens.shape == (2, 6, 4)
    alone = module.patches(x[:, :, 2:4, 4:6]).flatten(1)  # the last of the second row
    torch.testing.assert_close(tokens[:, 5], alone + module.tokens.position[0, 5])
    assert len(module.tokens.position[0].unique(dim=0)) == 6


def test_errors():
    declared = InputSpec(shape=(1, 9, 8), classes=TEN)
    with pytest.raises(UserError, match="patches of 4 pixels do not divide 9 x 8 images; give a divisor of both"):
        VitTiny().build(declared)
    with pytest.raises(UserError, match="5 heads cannot share a width of 48; give a divisor of the width"):
        VitTiny(patch=1, heads=5).build(declared)
    for wrong in ({"patch": 0}, {"depth": 0}, {"dropout": 0.1}):
        with pytest.raises(pydantic.ValidationError):
            VitTiny(**wrong)
