"""A small trained network, its data, and what steps may use."""

import pytest

from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.data.digits import Digits
from bench.models.base import Recipe
from bench.models.convnet import Convnet
from bench.models.mlp import Mlp
from bench.models.training import initialise, train
from bench.networks.network import TorchNetwork
from bench.outside_networks.records import source_record

MODELS = {
    "pool": Convnet(widths=(8, 12), strides=(1, 2)),
    "flatten": Convnet(widths=(6, 8), strides=(2, 2), head="flatten"),
    "mlp": Mlp(hidden=(24, 16), batch_norm=True),
}


@pytest.fixture(scope="session")
def digits():
    return Digits().load(300, 100)


@pytest.fixture(scope="session")
def trained(digits):
    """One network of each kind, trained for three epochs."""
    networks = {}
    for name, model in MODELS.items():
        module = initialise(model, digits.input, 0)
        module = train(module, digits.train, digits.input, Recipe(epochs=3), 0)
        networks[name] = TorchNetwork(module, digits.input, source_record(model, digits.input))
    return networks


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
