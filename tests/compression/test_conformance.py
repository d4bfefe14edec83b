"""What holds of every registered step; a new one needs a row here only if a parameter has no default."""

import json

import numpy as np
import pytest
import torch

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.compression.restoring import restore, to_bytes
from bench.errors import UserError
from bench.models.base import Recipe
from bench.networks.network import OnnxNetwork
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

PARAMETERS = {
    "structured-prune": {"ratio": 0.3},
    "finetune": {"epochs": 1},
    "weight-noise": {"sigma": 0.1},
    "train-small": {"macs": 0.5},
    "bn-reset": {"samples": 64},
    "ptq-mixed": {"average_bits": 4},
    "qat": {"epochs": 1},
}
KINDS = ("torch", "torch-quantised", "onnx", "onnx-quantised")


@pytest.fixture(scope="module")
def sources(trained, files, digits):
    """A network of every kind."""
    context = StepContext(digits.train, digits.calibration, Recipe(epochs=1), 3)
    return {
        "torch": trained["pool"],
        "onnx": files["pool"],
        "torch-quantised": run_step(steps.get("ptq")(), trained["pool"], context),
        "onnx-quantised": run_step(steps.get("ort-static-quant")(), files["pool"], context),
    }


def logits(network, digits):
    runtime = "onnxruntime" if isinstance(network, OnnxNetwork) else "torch"
    predictor = open_predictor(network, Target(name=runtime, runtime=runtime))
    return predictor.logits(torch.from_numpy(digits.evaluation.x[:40])).numpy()


@pytest.mark.parametrize("name", steps.names())
def test_every_step(sources, context, digits, name):
    step = steps.get(name)(**PARAMETERS.get(name, {}))
    taken = [kind for kind in KINDS if kind in step.consumes]
    assert taken
    for kind in taken:
        source = sources[kind]
        before, record = to_bytes(source), json.dumps(source.record)
        state = torch.get_rng_state(), np.random.get_state()[1].copy()
        made = run_step(step, source, context)
        assert made.kind == step.produces(kind), "declares what it makes"
        assert (to_bytes(source), json.dumps(source.record)) == (before, record), "leaves its input alone"
        assert torch.equal(torch.get_rng_state(), state[0]), "leaves torch's generator alone"
        assert (np.random.get_state()[1] == state[1]).all(), "leaves numpy's generator alone"
        assert to_bytes(run_step(step, source, context)) == to_bytes(made), "gives the same bytes for the same seed"
        shown = logits(made, digits)
        assert np.isfinite(shown).all()
        again = restore(json.loads(json.dumps(made.record)), to_bytes(made))
        np.testing.assert_array_equal(logits(again, digits), shown, "comes back from record and bytes alone")


@pytest.mark.parametrize("name", steps.names())
def test_every_step_refuses_what_it_cannot_take_in_one_line(sources, context, name):
    step = steps.get(name)(**PARAMETERS.get(name, {}))
    for kind in KINDS:
        if kind not in step.consumes:
            with pytest.raises(UserError) as error:
                run_step(step, sources[kind], context)
            assert "\n" not in str(error.value)
            assert kind in step.refusal, f"says why it refuses {kind}"
