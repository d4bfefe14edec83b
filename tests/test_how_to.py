"""Every command and every table of the how-to pages works as it is printed."""

import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.cli import run_cli
from bench.compression.base import StepContext, steps
from bench.compression.chains import run_step
from bench.data.digits import Digits
from bench.models.base import Recipe
from bench.models.mlp import Mlp
from bench.models.training import initialise, train
from bench.networks.network import TorchNetwork
from bench.suite.load import load_suite

PAGES = sorted((Path(__file__).parents[1] / "docs" / "how-to").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OWN = "own-network.md"


def blocks(page, language):
    return [text for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def commands():
    return [
        pytest.param(line, id=f"{page.stem}: {line}")
        for page in PAGES
        for text in blocks(page, "console")
        for line in text.splitlines()
    ]


def write(module, data, path):
    network = TorchNetwork(module, data.input)
    exported = run_step(steps.get("onnx-export")(), network, StepContext(data.train, data.calibration, None, 0))
    path.write_bytes(exported.model)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that the pages speak of: a network, two noisy copies, samples, and the suite of one page."""
    folder = tmp_path_factory.mktemp("how-to")
    data = Digits().load(300, 64)
    network = train(initialise(Mlp(hidden=(24,)), data.input, 0), data.train, data.input, Recipe(epochs=6), 0)
    write(network, data, folder / "reference.onnx")
    random = torch.Generator().manual_seed(0)
    for name in ("variant", "other"):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 0.05 * parameter.abs().mean() * torch.randn(parameter.shape, generator=random)
        write(network, data, folder / f"{name}.onnx")
    np.savez(folder / "x.npz", x=data.evaluation.x, y=data.evaluation.y)
    (folder / "photographs" / "cat").mkdir(parents=True)
    Image.new("RGB", (40, 40)).save(folder / "photographs" / "cat" / "1.png")
    page = next(page for page in PAGES if page.name == OWN)
    (folder / "mine.toml").write_text(blocks(page, "toml")[0])
    return folder


@pytest.fixture
def at(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("line", commands())
def test_commands(line, at, capsys):
    name, *arguments = shlex.split(line)
    assert name == "crbench"
    assert run_cli(arguments) == 0
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tables(page, at):
    """Laid over the suite of one page, each is a suite."""
    for place, text in enumerate(blocks(page, "toml")):
        tables = tomllib.loads(text)
        whole = "reference" in tables
        path = at / f"{page.stem}-{place}.toml"
        path.write_text(text if whole else f'extends = "mine.toml"\n{text}')
        suite = load_suite(path)
        assert suite.evaluation == tables.get("data", {"evaluation": 200})["evaluation"]


def test_there_is_something_to_try():
    assert len(commands()) >= 8
    assert sum(len(blocks(page, "toml")) for page in PAGES) >= 4
