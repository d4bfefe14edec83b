from dataclasses import replace

import pytest
import torch

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.data.base import Dataset, loaders
from bench.models.base import Recipe, models
from bench.models.training import initialise, train
from bench.networks.network import OnnxNetwork, TorchNetwork
from bench.outside_networks.records import source_record


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return loaders.get("digits")().load(120, 96)


@pytest.fixture(scope="session")
def context(digits) -> StepContext:
    return StepContext(digits.train, digits.calibration, None, 0)


@pytest.fixture(scope="session")
def network(digits) -> TorchNetwork:
    """A trained convnet with a mean and std of its own, so that preprocessing matters."""
    declared = replace(digits.input, mean=(0.3,), std=(0.4,))
    model = models.get("convnet")(widths=(8, 16), strides=(1, 2))
    module = train(initialise(model, declared, 0), digits.train, declared, Recipe(epochs=3), 0)
    return TorchNetwork(module, declared, source_record(model, declared))


@pytest.fixture(scope="session")
def quantised(network, context) -> TorchNetwork:
    return run_step(steps.get("ptq")(), network, context)


@pytest.fixture(scope="session")
def exported(network, context) -> OnnxNetwork:
    return run_step(steps.get("onnx-export")(), network, context)


@pytest.fixture(scope="session")
def x(digits) -> torch.Tensor:
    return torch.from_numpy(digits.evaluation.x)
