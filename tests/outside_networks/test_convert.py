"""Checkpoints become safetensors in another process, or are refused in one line."""

import os
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bench.cli import run_cli
from bench.errors import UserError
from bench.outside_networks import convert as module
from bench.outside_networks.convert import convert
from bench.outside_networks.convert_worker import Refused, unwrap

NET = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def save(path, thing):
    torch.save(thing, path)
    return path


def prefixed(state):
    return {f"module.{name}": value for name, value in state.items()}


@pytest.mark.parametrize(
    ("wrap", "expected"),
    [
        (lambda state: state, ""),
        (lambda state: {"state_dict": state, "epoch": 3}, "state_dict"),
        (lambda state: {"model_state_dict": state, "optimizer": {"lr": 1.0}}, "model_state_dict"),
        (prefixed, "module"),
        (lambda state: {"state_dict": prefixed(state)}, "state_dict.module"),
        (lambda state: {"model": state, "epoch": 3}, "model"),
        (lambda state: {"model": {f"module._orig_mod.{k}": v for k, v in state.items()}}, "model.module._orig_mod"),
    ],
)
def test_weights_are_taken_out(wrap, expected):
    found, unwrapped = unwrap(wrap(NET.state_dict()))
    assert unwrapped == expected
    assert set(found) == set(NET.state_dict())
    assert all(torch.equal(found[name], value) for name, value in NET.state_dict().items())


def test_tied_expanded_and_turned_tensors(tmp_path):
    weight = torch.arange(6.0).reshape(2, 3)
    state = {"a": weight, "b": weight, "turned": weight.T, "wide": torch.ones(1).expand(4), "half": weight.half()}
    save_file(unwrap(state)[0], tmp_path / "net.safetensors")
    found = load_file(tmp_path / "net.safetensors")
    for name, value in state.items():
        assert torch.equal(found[name], value)
        assert found[name].dtype == value.dtype


REFUSED = {
    "list": ([torch.ones(2)], "it holds a list, not a state dict"),
    "tensor": (torch.ones(2), "it holds a Tensor, not a state dict"),
    "number": ({"weight": torch.ones(2), "epoch": 3}, "'epoch' is a int, not a tensor"),
    "nested": ({"net": NET.state_dict()}, "'net' is a OrderedDict, not a tensor"),
    "two": ({"state_dict": {"a": torch.ones(1)}, "model_state_dict": {"a": torch.ones(1)}}, "say which with --key"),
    "empty": ({}, "it holds no tensor"),
    "unnamed": ({3: torch.ones(2)}, "an entry is named by a int"),
    "no name": ({"module.": torch.ones(2)}, "a tensor has no name"),
    "sparse": ({"a": torch.eye(3).to_sparse()}, "'a' is a sparse, quantised or empty tensor"),
    "meta": ({"a": torch.ones(3, device="meta")}, "'a' is a sparse, quantised or empty tensor"),
}


@pytest.mark.parametrize(("thing", "said"), REFUSED.values(), ids=REFUSED)
def test_anything_else_is_refused(thing, said):
    with pytest.raises(Refused, match=said):
        unwrap(thing)


class Evil:
    """Unpickling it would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_code_in_a_pickle_is_not_run(tmp_path):
    path = save(tmp_path / "net.pt", {"weight": Evil(tmp_path / "ran")})
    with pytest.raises(UserError, match="more than tensors") as error:
        convert(path)
    assert "\n" not in str(error.value)
    assert [found.name for found in tmp_path.iterdir()] == ["net.pt"]
    torch.load(path, weights_only=False)  # it would have
    assert (tmp_path / "ran").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited by /proc")
def test_a_small_file_that_needs_much_memory_is_refused(tmp_path):
    path = save(tmp_path / "net.pt", {"weight": torch.zeros(1).expand(500_000_000)})
    assert path.stat().st_size < 10_000
    with pytest.raises(UserError, match="far more memory than its size says"):
        convert(path)


def test_a_damaged_file(tmp_path):
    whole = save(tmp_path / "whole.pt", NET.state_dict()).read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"^CHECKPOINT: '.*cut\.pt': it cannot be read: "):
        convert(tmp_path / "cut.pt")


def test_a_slow_reader_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.01)
    with pytest.raises(UserError, match="not read within 0 s"):
        convert(save(tmp_path / "net.pt", NET.state_dict()))


def test_a_reader_that_dies_is_reported(tmp_path, monkeypatch):
    worker = tmp_path / "worker.py"
    worker.write_text("import sys; sys.exit('out of luck')")
    monkeypatch.setattr(module, "WORKER", worker)
    with pytest.raises(UserError, match="the reading process ended with code 1: out of luck"):
        convert(save(tmp_path / "net.pt", NET.state_dict()))


def test_the_command_never_writes_over_a_file_without_force(tmp_path, capsys):
    path = save(tmp_path / "net.pt", {"state_dict": prefixed(NET.state_dict())})
    target = tmp_path / "net.safetensors"
    target.write_bytes(b"mine")
    assert run_cli(["convert", str(path)]) == 2
    assert capsys.readouterr().err.strip().endswith("is there already; give --force to write over it")
    assert target.read_bytes() == b"mine"
    assert run_cli(["convert", str(path), "--force"]) == 0
    assert capsys.readouterr().out == f"{target}: 7 tensors, 17 values, out of state_dict.module\n"
    found = load_file(target)
    for name, value in NET.state_dict().items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["net.pt", "net.safetensors"]


def test_a_file_that_came_meanwhile_is_kept(tmp_path):
    (tmp_path / "made").write_bytes(b"new")
    (tmp_path / "target").write_bytes(b"mine")
    with pytest.raises(UserError, match="is there already"):
        module._put(tmp_path / "made", tmp_path / "target", force=False)
    assert (tmp_path / "target").read_bytes() == b"mine"


def test_wrong_places(tmp_path):
    path = save(tmp_path / "net.pt", NET.state_dict())
    with pytest.raises(UserError, match=r"does not end in \.safetensors"):
        convert(path, tmp_path / "out.pt")
    with pytest.raises(UserError, match="no folder"):
        convert(path, tmp_path / "none" / "out.safetensors")
    with pytest.raises(UserError, match=r"^CHECKPOINT: no file"):
        convert(tmp_path / "none.pt")
    same = save(tmp_path / "same.safetensors", NET.state_dict())
    with pytest.raises(UserError, match="cannot be written over"):
        convert(same, force=True)


def test_an_average_beside_the_weights_is_no_guess(tmp_path):
    average = {name: value + 1 for name, value in NET.state_dict().items()}
    both = save(tmp_path / "both.pt", {"state_dict": NET.state_dict(), "state_dict_ema": average, "epoch": 3})
    with pytest.raises(UserError, match="it holds state_dict and state_dict_ema: say which with --key, such as --key"):
        convert(both)
    assert run_cli(["convert", str(both), "--key", "state_dict_ema"]) == 0
    found = load_file(tmp_path / "both.safetensors")
    assert torch.equal(found["0.weight"], average["0.weight"])
    with pytest.raises(UserError, match=r"it holds no state dict 'ema'; there is: state_dict, state_dict_ema"):
        convert(both, force=True, key="ema")
