"""Small trained networks, their data, and what steps may use."""

import pytest

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.data.digits import Digits
from bench.models.base import Recipe


@pytest.fixture(scope="session")
def digits():
    return Digits().load(300, 100)


@pytest.fixture(scope="session")
def trained(zoo):
    """One network of each kind."""
    return {name: zoo(name) for name in ("pool", "flatten", "mlp")}


@pytest.fixture(scope="session")
def network(trained):
    return trained["pool"]


@pytest.fixture
def context(digits):
    return StepContext(digits.train, digits.calibration, Recipe(epochs=1), 11)


@pytest.fixture(scope="session")
def files(trained, digits):
    """Each network as a float ONNX file, by both exporters."""
    context = StepContext(digits.train, digits.calibration, Recipe(epochs=1), 11)
    export = steps.get("onnx-export")
    made = {name: run_step(export(), network, context) for name, network in trained.items()}
    return made | {
        f"{name}-dynamo": run_step(export(exporter="dynamo"), trained[name], context) for name in ("pool", "mlp")
    }
