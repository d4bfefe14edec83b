"""What holds of every step from torch network to torch network."""

import json
from dataclasses import replace

import pydantic
import pytest
import torch

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.compression.restoring import restore, to_bytes
from bench.data.base import Samples
from bench.errors import NotApplicable, UserError

STEPS = {
    "bn-fold": {},
    "structured-prune": {"ratio": 0.3},
    "finetune": {"epochs": 1},
    "weight-noise": {"sigma": 0.1},
    "retrain": {},
    "train-small": {"macs": 0.5},
    "bn-reset": {"samples": 64},
}
SEEDED = ["structured-prune random", "finetune", "weight-noise", "retrain", "train-small", "bn-reset"]


def step(name):
    if name == "structured-prune random":
        return steps.get("structured-prune")(ratio=0.3, importance="random")
    return steps.get(name)(**STEPS[name])


def logits(network, digits):
    with torch.no_grad():
        return network.module(torch.from_numpy(digits.evaluation.x))


@pytest.mark.parametrize("model", ["pool", "flatten", "mlp"])
@pytest.mark.parametrize("name", STEPS)
def test_restored_from_record_and_weights_alone(trained, context, digits, name, model):
    source = trained[model]
    before = to_bytes(source)
    made = run_step(step(name), source, context)
    assert to_bytes(source) == before
    assert made.input is source.input
    assert made.kind == "torch"
    assert not made.module.training
    record = json.loads(json.dumps(made.record))
    assert record == made.record
    assert record["of"] == source.record
    assert (record["step"], record["parameters"]) == (name, {**record["parameters"], **STEPS[name]})

    again = restore(record, to_bytes(made))
    assert torch.equal(logits(again, digits), logits(made, digits))
    assert to_bytes(again) == to_bytes(made)
    assert again.record == record
    assert not torch.equal(logits(made, digits), logits(source, digits))


@pytest.mark.parametrize("name", [*STEPS, "structured-prune random"])
def test_the_same_seed_gives_the_same_bytes(network, context, name):
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    made = run_step(step(name), network, context)
    assert torch.equal(torch.get_rng_state(), state)
    torch.set_num_threads(2)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.rand(3)
            again = run_step(step(name), network, context)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert to_bytes(again) == to_bytes(made)
    assert again.record == made.record
    other = run_step(step(name), network, replace(context, seed=12))
    assert (to_bytes(other) != to_bytes(made)) == (name in SEEDED)


@pytest.mark.parametrize("name", SEEDED)
def test_a_seed_of_its_own(network, context, name):
    """0 is the replicate's own; another one another network, in another way than a replicate."""
    made = [to_bytes(run_step(replace(step(name), seed=seed), network, context)) for seed in (0, 1)]
    assert made[0] == to_bytes(run_step(step(name), network, context)) != made[1]
    assert made[1] != to_bytes(run_step(step(name), network, replace(context, seed=12)))


def test_the_evaluation_split_is_out_of_reach():
    fields = {"train", "calibration", "recipe", "seed", "progress", "reference"}
    assert set(StepContext.__dataclass_fields__) == fields


def test_a_long_chain(network, context, digits):
    made = network
    for name in ("structured-prune", "finetune", "bn-fold", "weight-noise"):
        made = run_step(step(name), made, context)
    made = run_step(steps.get("structured-prune")(ratio=0.2, importance="l1", global_pruning=True), made, context)
    again = restore(json.loads(json.dumps(made.record)), to_bytes(made))
    assert torch.equal(logits(again, digits), logits(made, digits))
    retrained = run_step(step("retrain"), made, context)
    assert [tuple(p.shape) for p in retrained.module.parameters()] == [tuple(p.shape) for p in made.module.parameters()]
    again = restore(retrained.record, to_bytes(retrained))
    assert torch.equal(logits(again, digits), logits(retrained, digits))


@pytest.mark.parametrize("name", ["finetune", "retrain", "train-small"])
def test_training_without_labels_is_refused(network, context, name):
    none = Samples((), context.train.x[:0], None)
    with pytest.raises(UserError, match="training needs labelled samples"):
        run_step(step(name), network, replace(context, train=none))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("structured-prune", {}),
        ("structured-prune", {"ratio": 0.0}),
        ("structured-prune", {"ratio": 1.0}),
        ("structured-prune", {"ratio": 0.3, "importance": "l3"}),
        ("structured-prune", {"ratio": 0.3, "epochs": 1}),
        ("finetune", {"epochs": 0}),
        ("finetune", {"learning_rate": 0.0}),
        ("weight-noise", {}),
        ("weight-noise", {"sigma": 0.1, "accuracy_loss": 0.1}),
        ("weight-noise", {"sigma": 0.0}),
        ("weight-noise", {"accuracy_loss": 1.0}),
        ("bn-fold", {"ratio": 0.5}),
        ("retrain", {"epochs": 2}),
        ("finetune", {"distillation": 1.5}),
        ("finetune", {"temperature": 0.0}),
        ("finetune", {"seed": -1}),
        ("train-small", {"macs": 0.0}),
        ("train-small", {"macs": 1.5}),
        ("bn-reset", {"samples": 1}),
    ],
)
def test_wrong_parameters_are_refused(name, wrong):
    with pytest.raises(pydantic.ValidationError):
        steps.get(name)(**wrong)


def test_nothing_to_do_is_said(trained, context):
    folded = run_step(step("bn-fold"), trained["mlp"], context)
    with pytest.raises(NotApplicable, match="no BatchNorm can be folded"):
        run_step(step("bn-fold"), folded, context)
