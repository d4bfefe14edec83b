import pytest
import torch

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.data.base import Dataset, loaders
from bench.networks.network import OnnxNetwork, TorchNetwork


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return loaders.get("digits")().load(120, 96)


@pytest.fixture(scope="session")
def context(digits) -> StepContext:
    return StepContext(digits.train, digits.calibration, None, 0)


@pytest.fixture(scope="session")
def network(zoo) -> TorchNetwork:
    """A trained convnet with a mean and std of its own, so that preprocessing matters."""
    return zoo("wide-normalised")


@pytest.fixture(scope="session")
def quantised(network, context) -> TorchNetwork:
    return run_step(steps.get("ptq")(), network, context)


@pytest.fixture(scope="session")
def exported(network, context) -> OnnxNetwork:
    return run_step(steps.get("onnx-export")(), network, context)


@pytest.fixture(scope="session")
def x(digits) -> torch.Tensor:
    return torch.from_numpy(digits.evaluation.x)
