"""A user's repository: ONNX files, data and a suite of them; every test has a copy, and pytest in its own process."""

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.pytest_plugin.processes import run_pytest

SUITE = """
name = "mine"

[data]
loader = "npz"
path = "x.npz"
bounds = [0.0, 1.0]
evaluation = 400
calibration = 0

[reference]
onnx = "reference.onnx"

[[target]]
name = "edge"
runtime = "onnxruntime"
integer_sums = "exact"

[[variant]]
name = "close"
onnx = "close.onnx"

[[variant]]
name = "far"
onnx = "far.onnx"

[[metric]]
use = "cost"
rounds = 5
warmup = 1

[[metric]]
use = "fidelity.accuracy"
gate = [{ value = "accuracy", max_harm = 0.1 }]

[[metric]]
use = "fidelity.predictions"
"""


def network(weight):
    """Flatten and a matrix product (classes, 16), as some other tool would write them."""
    helper = onnx.helper
    ports = [
        helper.make_tensor_value_info("x", 1, ["n", 1, 4, 4]),
        helper.make_tensor_value_info("z", 1, ["n", len(weight)]),
    ]
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["z"])]
    weights = [onnx.numpy_helper.from_array(np.ascontiguousarray(weight.T), "w")]
    graph = helper.make_graph(nodes, "net", ports[:1], ports[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def write_files(folder):
    """Data labelled by a linear network with doubts, that network, noisy copies of it, and one of another width."""
    random = np.random.default_rng(0)
    x = random.random((400, 1, 4, 4), dtype=np.float32)
    weight = random.normal(size=(3, 16)).astype(np.float32)
    y = ((x - 0.5).reshape(400, 16) @ weight.T + random.gumbel(size=(400, 3)) / 4).argmax(1)
    weight -= weight.mean(1, keepdims=True)
    np.savez(folder / "x.npz", x=x, y=y)
    np.savez(folder / "unlabelled.npz", x=x)
    onnx.save(network(weight), folder / "reference.onnx")
    for name, noise in (("close", 0.02), ("far", 1.0), *((f"seed{k}", 0.3) for k in range(4))):
        moved = weight + noise * random.normal(size=weight.shape).astype(np.float32)
        onnx.save(network(moved), folder / f"{name}.onnx")
    onnx.save(network(np.ones((4, 16), np.float32)), folder / "wide.onnx")


class Repository:
    """A folder, and pytest in a process of its own there."""

    def __init__(self, folder):
        self.folder = folder

    def suite(self, *changes, name="mine.toml", text=SUITE, unlabelled=False):
        """Write the suite with pieces of it replaced."""
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = self.folder / "suites" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            text.replace('"x.npz"', '"../unlabelled.npz"' if unlabelled else '"../x.npz"').replace(
                'onnx = "', 'onnx = "../'
            ),
            encoding="utf-8",
        )
        return path

    def test(self, text, name="test_mine.py"):
        (self.folder / name).write_text(text)

    def pytest(self, *arguments, expect=0, imported=True):
        """Run, without hypothesis, whose import takes as long as all else; answers everything printed.

        ``imported``: in a process that has the heavy libraries already, else as ``python -m pytest``.
        """
        plain = ["-p", "no:cacheprovider", "-W", "error", "--strict-markers", "-p", "no:hypothesispytest"]
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}  # no worker of ours
        words = [*plain, *map(str, arguments)]
        if imported:
            code, output, errors = run_pytest(self.folder, own, words)
        else:
            command = [sys.executable, "-m", "pytest", *words]
            done = subprocess.run(command, cwd=self.folder, env=own, capture_output=True, text=True)
            code, output, errors = done.returncode, done.stdout, done.stderr
        assert code == expect, output + errors
        return output + errors

    def cases(self):
        """What the last ``--junitxml j.xml`` says: name -> (kind, message, properties)."""
        found = {}
        for case in ET.parse(self.folder / "j.xml").iter("testcase"):
            marks = [child for child in case if child.tag in ("failure", "error", "skipped")]
            kind = marks[0].tag if marks else "passed"
            text = (marks[0].get("message") or "") + (marks[0].text or "") if marks else ""
            properties = {item.get("name"): item.get("value") for item in case.iter("property")}
            found[case.get("name")] = (kind, text, properties)
        return found

    def cells(self):
        """How many cells the store holds."""
        return len(list((self.folder / ".crbench" / "cells").rglob("*.json")))

    def json(self, name):
        return json.loads((self.folder / name).read_text())


@pytest.fixture(scope="session")
def _files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    write_files(folder)
    return folder


@pytest.fixture
def fresh(_files, tmp_path):
    """Nothing is measured yet."""
    shutil.copytree(_files, tmp_path / "repository")
    (tmp_path / "repository" / "pytest.ini").write_text("[pytest]\n")
    repository = Repository(tmp_path / "repository")
    repository.suite()
    return repository


@pytest.fixture(scope="session")
def _first(_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("first") / "repository"
    shutil.copytree(_files, folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    repository = Repository(folder)
    repository.suite()
    arguments = ("--benchmark-json=b.json", "--benchmark-max-time=0.05", "--benchmark-group-by=param:variant", "-rA")
    accept = ("--crbench-baseline=kept.json", "--crbench-update-baseline")
    output = repository.pytest("suites/mine.toml", "--junitxml=j.xml", *arguments, *accept, expect=1)
    Path(folder / "output.txt").write_text(output)
    return folder


@pytest.fixture
def measured(_first, tmp_path):
    """Everything is measured; ``output.txt``, ``j.xml``, ``b.json`` and ``kept.json`` are those of that first run."""
    shutil.copytree(_first, tmp_path / "repository")
    return Repository(tmp_path / "repository")
