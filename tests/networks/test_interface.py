"""What a network is given, and what its answer means."""

import json
import re

import pytest
import torch

from bench.errors import UserError
from bench.networks.interface import check_declared, to_logits, to_network, to_outputs
from bench.networks.network import InputSpec

CLASSES = ("ant", "bee", "cat")
X = torch.rand(4, 3, 5, 6, generator=torch.Generator().manual_seed(0))


def spec(**given):
    return InputSpec(shape=(3, 5, 6), classes=CLASSES, **given)


def test_nothing_declared_is_nothing_done():
    assert to_network(X, spec()) is X
    assert spec().network_shape == (3, 5, 6)
    logits = torch.rand(2, 4, 3)
    assert to_logits(logits, spec()) is logits


def test_scale_mean_std_and_layout():
    declared = spec(scale=255.0, mean=(127.0, 10.0, 0.0), std=(128.0, 1.0, 2.0), layout="NHWC")
    given = to_network(X, declared)
    assert given.shape == (4, 5, 6, 3)
    assert declared.network_shape == (5, 6, 3)
    torch.testing.assert_close(
        given[1, 2, 3], (X[1, :, 2, 3] * 255 - torch.tensor([127.0, 10, 0])) / torch.tensor([128.0, 1, 2])
    )
    assert to_network(X.double(), declared).dtype == torch.float64


def test_whole_pixels():
    given = to_network(
        torch.tensor([0.0, 0.4, 0.6, 254.6, 255]).view(1, 1, 1, 5) / 255, spec(scale=255.0, dtype="uint8")
    )
    assert given.dtype == torch.uint8
    assert given.flatten().tolist() == [0, 0, 1, 255, 255]


def test_label_order():
    """``order[j]`` is the class that output j means."""
    declared = spec(order=(2, 0, 1))
    out = torch.tensor([[0.7, 0.1, 0.2]])  # cat, ant, bee
    torch.testing.assert_close(to_logits(out, declared), torch.tensor([[0.1, 0.2, 0.7]]))
    assert to_outputs(torch.tensor([2, 0, 1]), declared).tolist() == [0, 1, 2]
    probable = to_logits(out, spec(order=(2, 0, 1), output="probabilities"))
    torch.testing.assert_close(probable.exp(), torch.tensor([[0.1, 0.2, 0.7]]))
    assert spec(order=(0, 1, 2)).positions == ()


@pytest.mark.parametrize("order", [["cat", "ant", "bee"], [2, 0, 1]])
def test_canonical_reads_back(order):
    declared = spec(scale=255.0, layout="NHWC", dtype="uint8", order=(2, 0, 1))
    assert InputSpec.from_canonical(json.loads(json.dumps(declared.canonical()))) == declared
    assert InputSpec.from_canonical(spec().canonical() | {"order": order}).order == (2, 0, 1)
    assert set(spec().canonical()) == {
        "shape",
        "classes",
        "bounds",
        "mean",
        "std",
        "output",
    }  # keys of old results hold


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (["cat", "ant", "be"], "'be' is no class of the data; did you mean 'bee'?"),
        (["cat", "ant"], "2 outputs name 2 of 3 classes; list every class once"),
        (["cat", "ant", "cat"], "3 outputs name 2 of 3 classes"),
        ([0, 1, 3], "3 is no class of the data; give classes 0..2"),
        ([0, 1, -1], "-1 is no class"),
    ],
)
def test_bad_orders(order, said):
    with pytest.raises(UserError, match=f"^input.classes: {re.escape(said)}"):
        InputSpec.from_canonical(spec().canonical() | {"order": order})


def test_ambiguous_names():
    twice = spec().canonical() | {"classes": ["crane", "crane"]}
    with pytest.raises(UserError, match="'crane' is 2 class of the data; two classes have this name: give numbers"):
        InputSpec.from_canonical(twice | {"order": ["crane", "crane"]})
    assert InputSpec.from_canonical(twice | {"order": [1, 0]}).order == (1, 0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dtype": "uint8"}, "ref.dtype: uint8 pixels of data that lie in [0, 1] after scale; give scale = 255"),
        ({"dtype": "uint8", "scale": 300.0}, "lie in [0, 300] after scale"),
        ({"dtype": "uint8", "scale": 255.0, "mean": (3.0,)}, "uint8 pixels with a mean and a std"),
        ({"mean": (1.0, 2.0)}, "ref.mean: 2 values for 3 channels; give 1 or 3"),
    ],
)
def test_contradictions(given, said):
    with pytest.raises(UserError, match=re.escape(said)):
        check_declared(spec(**given), "ref")
    check_declared(spec(dtype="uint8", scale=255.0), "ref")
