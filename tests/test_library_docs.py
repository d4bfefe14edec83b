"""Every example of docs/library.md runs and answers what the page says."""

import doctest
from pathlib import Path

import numpy as np
import pytest

from bench.compression.base import StepContext, steps
from bench.compression.record import run_step, source_record
from bench.data.base import loaders
from bench.graph.network import TorchNetwork
from bench.models.base import Recipe, models
from bench.models.training import initialise, train

PAGE = Path(__file__).parents[1] / "docs" / "library.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """``int8.onnx`` and what the page calls ``model``, ``x`` and ``y``."""
    data = loaders.get("digits")().load(200, 64)
    recipe = Recipe(epochs=4)

    def trained(seed):
        module = initialise(models.get("mlp")(hidden=(24,)), data.input, seed)
        return train(module, data.train, data.input, recipe, seed).eval()

    model = trained(0)
    network = TorchNetwork(model, data.input, source_record(models.get("mlp")(hidden=(24,)), data.input))
    context = StepContext(data.train, data.calibration, None, 0)
    for step in (steps.get("onnx-export")(), steps.get("ort-static-quant")(reduce_range=True)):  # 7 bits: exact sums
        network = run_step(step, network, context)
    place = tmp_path_factory.mktemp("library")
    (place / "int8.onnx").write_bytes(network.model)
    shown = data.evaluation
    return place, {"model": model, "x": shown.x, "y": shown.y, "trained": trained, "np": np}


def test_every_example_of_the_page(folder, monkeypatch):
    place, names = folder
    monkeypatch.chdir(place)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    found = doctest.testfile(str(PAGE), module_relative=False, extraglobs=names, globs={}, optionflags=flags)
    assert found.failed == 0
    assert found.attempted >= 4
