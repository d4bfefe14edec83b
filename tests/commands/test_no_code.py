"""``--no-code``: nothing of others is imported, on any command that reads a suite or a network."""

import sys

import numpy as np
import pytest

TRAP = "open('TRAPPED', 'w').close()\ndef make():\n    raise ValueError\n"
PLACES = {
    "loader": ('loader = "digits"', 'loader = "trap_of_no_code:make"', "data.loader"),
    "model": ('model = "mlp"', 'model = "trap_of_no_code:make"', "reference.model"),
    "reference": (
        'model = "mlp"\nhidden = [24]\nrecipe = { epochs = 4 }',
        'factory = "trap_of_no_code:make"',
        "reference.factory",
    ),
    "step": ('use = "weight-noise", sigma = 0.3', 'use = "trap_of_no_code:make"', "variant[0].steps[0].use"),
    "variant": (
        'steps = [{ use = "weight-noise", sigma = 0.3 }]',
        'factory = "trap_of_no_code:make"',
        "variant[0].factory",
    ),
    "published": (
        'steps = [{ use = "weight-noise", sigma = 0.3 }]',
        'factory = "timm:resnet18"',
        "variant[0].factory",
    ),
    "metric": ('use = "fidelity.predictions"', 'use = "trap_of_no_code:make"', "metric[0].use"),
}
COMMANDS = {
    "run": ["run", "tiny.toml"],
    "check": ["check", "tiny.toml"],
    "weights": ["weights", "tiny.toml"],
    "why": ["why", "noise/torch/fidelity.accuracy", "--suite", "tiny.toml"],
}


@pytest.fixture
def trap(tiny):
    (tiny.folder / "trap_of_no_code.py").write_text(TRAP)
    sys.modules.pop("trap_of_no_code", None)
    return tiny


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize(("old", "new", "place"), PLACES.values(), ids=PLACES)
def test_a_suite_that_names_code_is_refused_before_it_runs(trap, capsys, command, old, new, place):
    trap.write(old, new)
    assert trap.run(*command, "--no-code") == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "code of others" in line]
    assert len(said) == 1
    assert said[0].startswith(f"crbench: {place}: ")
    assert said[0].endswith("leave --no-code out to trust it")
    assert not (trap.folder / "TRAPPED").exists()


def test_without_the_option_it_is_run(trap):
    trap.write(*PLACES["loader"][:2])
    assert trap.run("check", "tiny.toml") == 2
    assert (trap.folder / "TRAPPED").exists()


@pytest.mark.parametrize("command", ["diff", "why-diverged"])
def test_a_pair_that_names_code_is_refused(trap, capsys, command):
    np.savez(trap.folder / "data.npz", x=np.zeros((4, 64), np.float32))
    assert trap.run(command, "trap_of_no_code:make", "trap_of_no_code:make", "--data", "data.npz", "--no-code") == 2
    assert "'trap_of_no_code:make' is code of others" in capsys.readouterr().err
    assert trap.run("describe", "trap_of_no_code:make", "--no-code") == 2
    assert not (trap.folder / "TRAPPED").exists()


@pytest.mark.parametrize("name", ["timm:resnet18", "torchvision:resnet18", "huggingface:vit"])
@pytest.mark.parametrize("command", ["diff", "why-diverged"])
def test_a_published_name_is_refused_before_anything_is_fetched(trap, capsys, monkeypatch, command, name):
    monkeypatch.setattr("bench.outside_networks.source.build_named", lambda *_: pytest.fail("fetched"))
    np.savez(trap.folder / "data.npz", x=np.zeros((4, 64), np.float32))
    assert trap.run(command, name, name, "--data", "data.npz", "--no-code") == 2
    assert f"{name!r} is code of others" in capsys.readouterr().err


def test_a_metric_of_a_pair_that_is_code_is_refused(trap, capsys):
    np.savez(trap.folder / "data.npz", x=np.zeros((4, 64), np.float32))
    given = ["timm:resnet18", "timm:resnet18", "--data", "data.npz", "--metric", "trap_of_no_code:make"]
    assert trap.run("diff", *given, "--no-code") == 2
    assert "--metric: 'trap_of_no_code:make' is code of others" in capsys.readouterr().err
    assert not (trap.folder / "TRAPPED").exists()


def test_a_suite_without_code_runs_as_ever(measured):
    assert measured.run("run", "tiny.toml", "--quiet", "--no-code") == 0
    assert measured.results()["run"]["reused"] == 9


def test_entry_points_are_not_loaded(monkeypatch):
    from bench.metrics.base import Metric
    from bench.registry import Registry, refusing_code

    loaded = []

    class Point:
        name = "of-others"

        def load(self):
            loaded.append(self.name)
            return type("Other", (Metric,), {})

    monkeypatch.setattr("bench.registry.entry_points", lambda group: [Point()])
    registry = Registry("metric", "bench.functional")
    with refusing_code():
        assert registry.names() == []
    assert loaded == []
    assert registry.names() == ["of-others"]
