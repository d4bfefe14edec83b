"""Every example of docs/library.md runs and answers what the page says."""

import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import onnxruntime
import pytest

import bench
import bench.functional
import bench.functional.members
import bench.stats
from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.data.base import loaders

mpl.use("agg")
PAGE = Path(__file__).parents[1] / "docs" / "library.md"
SUITE = """
name = "small"
data = { loader = "digits", evaluation = 100, calibration = 32 }
reference = { model = "mlp", hidden = [12], recipe = { epochs = 2 } }
yardstick = { retrained = 4 }
metric = [
    { use = "fidelity.predictions" },
    { use = "fidelity.accuracy", gate = [{ value = "accuracy", max_harm = 0.5 }] },
]
variant = [
    { name = "noise", steps = [{ use = "weight-noise", sigma = 0.3 }] },
    { name = "more", steps = [{ use = "weight-noise", sigma = 0.4 }] },
]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, zoo):
    """``int8.onnx``, ``small.toml``, and what the page calls ``model``, ``retrained``, ``session``, ``x`` and ``y``."""
    data = loaders.get("digits")().load(200, 64)
    network = zoo("hidden")
    model = network.module
    context = StepContext(data.train, data.calibration, None, 0)
    for step in (steps.get("onnx-export")(), steps.get("ort-static-quant")(reduce_range=True)):  # 7 bits: exact sums
        network = run_step(step, network, context)
    place = tmp_path_factory.mktemp("library")
    (place / "int8.onnx").write_bytes(network.model)
    (place / "small.toml").write_text(SUITE)
    session = onnxruntime.InferenceSession(network.model, providers=["CPUExecutionProvider"])
    retrained = [zoo("hidden", seed).module for seed in (1, 2, 3, 4)]
    names = {"model": model, "retrained": retrained, "session": session}
    return place, {**names, "x": data.evaluation.x, "y": data.evaluation.y}


def test_every_example_of_the_page(folder, monkeypatch):
    place, names = folder
    monkeypatch.chdir(place)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    found = doctest.testfile(str(PAGE), module_relative=False, extraglobs=names, globs={}, optionflags=flags)
    assert found.failed == 0
    assert found.attempted > 30


def test_every_public_name_has_an_example():
    code = "\n".join(example.source for example in doctest.DocTestParser().get_examples(PAGE.read_text()))
    lacking = [name for name in bench.__all__ if not re.search(rf"\bbench\.{name}\b", code)]
    assert lacking == ["__version__"]


ALONE = (bench.functional, bench.functional.members, bench.stats)


@pytest.mark.parametrize("room", ALONE, ids=lambda room: room.__name__)
def test_every_function_that_is_usable_alone_has_an_example_of_its_own(room):
    """Also each class has one, in itself or in all its methods."""
    lacking, seen = [], 0
    for info in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
        module = importlib.import_module(info.name)
        for name, item in vars(module).items():
            if name.startswith("_") or getattr(item, "__module__", "") != info.name:
                continue
            if inspect.isfunction(item):
                wanted = [item]
            elif inspect.isclass(item) and ">>>" not in (inspect.getdoc(item) or ""):
                members = [(key, getattr(member, "fget", None) or member) for key, member in vars(item).items()]
                wanted = [own for key, own in members if not key.startswith("_") and inspect.isfunction(own)]
            else:
                continue
            seen += len(wanted)
            lacking += [f"{info.name}.{own.__qualname__}" for own in wanted if ">>>" not in (own.__doc__ or "")]
    assert lacking == []
    assert seen > 25


def test_public_names_are_imported_at_their_first_use():
    code = "import sys, bench; dir(bench); print(sorted({'numpy', 'torch', 'onnx', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    for name in bench.__all__:
        assert getattr(bench, name) is not None
    with pytest.raises(AttributeError, match="module 'bench' has no attribute 'dif'"):
        bench.dif  # noqa: B018
