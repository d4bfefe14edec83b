"""Checkpoints: safetensors only, strictly, and never NaN."""

import pickle
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bench.errors import UserError
from bench.models.checkpoint import load_checkpoint


def network(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(OrderedDict(first=nn.Linear(4, 3), second=nn.Linear(3, 2)))


def test_load(tmp_path):
    save_file(network(1).state_dict(), tmp_path / "net.safetensors")
    module = network(0)
    load_checkpoint(module, tmp_path / "net.safetensors", "reference.checkpoint")
    assert torch.equal(module.second.weight, network(1).second.weight)


def test_a_header_length_that_looks_like_a_pickle_is_no_pickle(tmp_path):
    """The file begins with its header's length: 0x280 and 0x380 start with the bytes of a pickle or come close."""
    seen = set()
    for padding in range(0, 1200, 8):
        path = tmp_path / f"{padding}.safetensors"
        save_file(network(1).state_dict(), path, metadata={"note": "x" * padding})
        seen.add(path.read_bytes()[:2])
        load_checkpoint(network(0), path, "checkpoint")
    assert b"\x80\x02" in seen


STATE = network(1).state_dict()
BAD = {
    "missing": ({k: v for k, v in STATE.items() if k != "first.bias"}, "missing 'first.bias'"),
    "extra": (STATE | {"third.weight": torch.ones(1)}, "extra 'third.weight'"),
    "both": ({f"module.{k}": v for k, v in STATE.items()}, "missing .* and 1 more; extra 'module.first.bias'"),
    "shape": (STATE | {"first.bias": torch.ones(4)}, r"'first.bias' has shape \(4,\), the network has \(3,\)"),
    "NaN": (STATE | {"second.bias": torch.tensor([0.0, float("nan")])}, "NaN or infinite weights in 'second.bias'"),
    "infinite": (STATE | {"first.bias": torch.full((3,), -float("inf"))}, "NaN or infinite weights in 'first.bias'"),
}


@pytest.mark.parametrize(("state", "said"), BAD.values(), ids=BAD)
def test_bad_weights(tmp_path, state, said):
    save_file({name: value.clone() for name, value in state.items()}, tmp_path / "net.safetensors")
    module = network(0)
    with pytest.raises(UserError, match=said) as error:
        load_checkpoint(module, tmp_path / "net.safetensors", "reference.checkpoint")
    assert str(error.value).startswith("reference.checkpoint: ")
    assert "\n" not in str(error.value)
    assert torch.equal(module.first.weight, network(0).first.weight)  # nothing half-loaded


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".safetensors", ""])
@pytest.mark.parametrize("writer", ["zip", "legacy", "plain"])
def test_pickles_are_refused_unread(tmp_path, suffix, writer):
    path = tmp_path / f"net{suffix}"
    if writer == "plain":
        path.write_bytes(pickle.dumps(Bomb()))
    else:
        torch.save({"state": network().state_dict()}, path, _use_new_zipfile_serialization=writer == "zip")
    with pytest.raises(UserError, match=r"is a pickle.*convert it to safetensors with: crbench convert net"):
        load_checkpoint(network(), path, "checkpoint")


def test_files(tmp_path):
    with pytest.raises(UserError, match=r"no file '.*none\.safetensors'"):
        load_checkpoint(network(), tmp_path / "none.safetensors", "checkpoint")
    with pytest.raises(UserError, match="is a folder"):
        load_checkpoint(network(), tmp_path, "checkpoint")
    for content in (b"", b"hello", b"\xff" * 100):
        (tmp_path / "bad.safetensors").write_bytes(content)
        with pytest.raises(UserError, match="is no safetensors file"):
            load_checkpoint(network(), tmp_path / "bad.safetensors", "checkpoint")
    save_file(network().state_dict(), tmp_path / "net.pt")
    with pytest.raises(UserError, match="is a pickle"):
        load_checkpoint(network(), tmp_path / "net.pt", "checkpoint")
