import json
from dataclasses import replace

import pydantic
import pytest
import torch

from bench.compression.base import steps
from bench.compression.chains import run_step
from bench.compression.restoring import restore, to_bytes
from bench.errors import UserError


@pytest.fixture(scope="module")
def small(trained):
    return trained["pool"]


def mix(network, context, **options):
    return run_step(steps.get("ptq-mixed")(**options), network, context)


def logits(network, samples):
    with torch.no_grad():
        return network.module(torch.from_numpy(samples.x))


@pytest.mark.parametrize(
    "options",
    [
        {"average_bits": 4},
        {"average_bits": 2.3},
        {"average_bits": 8},
        {"weight_bytes": 600},
        {"average_bits": 3, "weights_only": True},
        {"average_bits": 3, "weight_range": "mse", "weight_symmetric": False, "equalise": True},
    ],
    ids=str,
)
def test_keeps_to_its_budget_and_restores(small, context, digits, options):
    made = mix(small, context, **options)
    record = made.record["record"]
    layers = record["layers"]
    counts = {name: torch.Size(layer["shape"]).numel() for name, layer in layers.items()}
    chosen = record["weight_bits"]
    total = sum(counts[name] * bits for name, bits in chosen.items())
    assert set(chosen.values()) <= {2, 4, 8}
    assert {name: layer["weight_bits"] for name, layer in layers.items()} == chosen
    assert total / sum(counts.values()) == record["average_bits"] == record["storage"]["nominal_bits"]
    assert record["average_bits"] <= options.get("average_bits", 8)
    assert record["storage"]["nominal_bytes"] <= options.get("weight_bytes", 1e9)
    for name, bits in chosen.items():
        weight = made.module.get_submodule(name).quant_weight().value.detach().flatten(1)
        assert max(len(row.unique()) for row in weight) <= 2**bits
    again = restore(json.loads(json.dumps(made.record)), to_bytes(made))
    assert torch.equal(logits(again, digits.evaluation), logits(made, digits.evaluation))


def test_bits_follow_sensitivity(small, context):
    record = mix(small, context, average_bits=3).record["record"]
    rows = record["sensitivity"]
    assert all(0 <= row["8"] <= row["4"] <= row["2"] for row in rows.values())
    assert len(set(record["weight_bits"].values())) > 1
    assert record["weight_bits"] == dict(record["order"]) | {
        name: 8 for name in rows if name not in dict(record["order"])
    }


def test_better_than_the_same_bits_for_all(small, context, digits):
    expected = logits(small, digits.calibration)
    uniform = run_step(steps.get("ptq")(weight_bits=2, activation_bits=8), small, context)
    mixed = mix(small, context, average_bits=2.5)
    errors = [float((logits(each, digits.calibration) - expected).square().mean()) for each in (uniform, mixed)]
    assert errors[1] < 0.8 * errors[0]


def test_trains_and_exports(small, context, digits):
    made = mix(small, context, average_bits=3)
    trained = run_step(steps.get("qat")(epochs=1), made, context)
    again = restore(json.loads(json.dumps(trained.record)), to_bytes(trained))
    assert torch.equal(logits(again, digits.evaluation), logits(trained, digits.evaluation))
    exported = run_step(steps.get("onnx-export")(), trained, context).record["record"]
    assert exported["integer_kernels"] == len(made.record["record"]["layers"])
    assert exported["weight_bytes"]["int8"] >= made.record["record"]["storage"]["weights"]  # bytes, whatever the bits


def test_refusals(small, context):
    with pytest.raises(UserError, match=r"weight_bytes: 10 bytes do not hold \d+ weights of 2 bits; give \d+"):
        mix(small, context, weight_bytes=10)
    with pytest.raises(UserError, match=r"no calibration samples.*ptq-mixed sets"):
        mix(small, replace(context, calibration=context.calibration.take(slice(0, 0))), average_bits=4)
    with pytest.raises(UserError, match="the network is quantised already"):
        mix(mix(small, context, average_bits=4), context, average_bits=4)
    for bad in ({}, {"average_bits": 4, "weight_bytes": 100}, {"average_bits": 1.9}):
        with pytest.raises(pydantic.ValidationError):
            steps.get("ptq-mixed")(**bad)
