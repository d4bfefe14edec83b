"""Forward hooks that change values: each step keeps them, or refuses by the layer's name."""

import numpy as np
import pytest
import torch
from torch import nn

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.data.base import Samples
from bench.errors import NotApplicable
from bench.networks.network import InputSpec, OnnxNetwork, TorchNetwork
from bench.runtimes.base import Target
from bench.runtimes.opening import open_predictor

DECLARED = InputSpec(shape=(1, 8, 8), classes=("a", "b", "c"))
PLACES = ("", "0", "1", "2", "3", "4", "5", "9")
LOST = {"ptq": {"", "0", "4", "5", "9"}, "structured-prune": {"0", "1", "5", "9"}, "bn-fold": {"0", "1"}}
EXACT = {"bn-fold": 1e-5, "ptq": 0.05, "onnx-export": 1e-4}


def hooked(place, kind):
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    ).eval()
    layer = module.get_submodule(place)
    if kind == "after":
        layer.register_forward_hook(lambda layer, inputs, output: output * 2 + 0.3)
    else:
        layer.register_forward_pre_hook(lambda layer, inputs: (inputs[0] * 2 + 0.3,))
    return TorchNetwork(module, DECLARED)


@pytest.mark.parametrize("kind", ["after", "before"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("step", "options"),
    [("bn-fold", {}), ("ptq", {}), ("ptq", {"equalise": True}), ("structured-prune", {"ratio": 0.25})]
    + [("onnx-export", {"exporter": exporter}) for exporter in ("torchscript", "dynamo")],
)
def test_no_step_loses_a_hook_without_a_word(place, kind, step, options):
    if options.get("exporter") == "dynamo" and place not in ("", "0"):
        pytest.skip("slow, and alike for every layer")
    rng = np.random.default_rng(5)
    x = rng.random((48, 1, 8, 8), dtype=np.float32)
    samples = Samples(tuple(map(str, range(48))), x, rng.integers(0, 3, 48))
    network = hooked(place, kind)
    chosen = steps.get(step)(**options)
    if place in LOST.get(step, set()):
        name = f"layer '{place}'" if place else "the network itself"
        match = f"{name} has a forward hook" if step != "bn-fold" else "which has hooks|it has hooks"
        with pytest.raises(NotApplicable, match=match):
            run_step(chosen, network, StepContext(samples, samples, None, 0))
        return
    made = run_step(chosen, network, StepContext(samples, samples, None, 0))
    if step in EXACT:
        shown = torch.from_numpy(x)
        runtime = "onnxruntime" if isinstance(made, OnnxNetwork) else "torch"
        found = open_predictor(made, Target(name="t", runtime=runtime)).logits(shown)[0]
        wanted = network.module(shown).detach()
        assert float((found - wanted).abs().max()) < EXACT[step] * float(wanted.abs().max())
    else:
        count = sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in made.module.modules())
        assert count == 1
