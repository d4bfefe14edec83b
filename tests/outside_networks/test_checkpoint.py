"""Checkpoints: safetensors only, strictly, and never NaN."""

import pickle
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bench.errors import UserError
from bench.outside_networks.checkpoint import load_checkpoint


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
    "both": ({f"net.{k}": v for k, v in STATE.items()}, "missing .* and 1 more; extra 'net.first.bias'"),
    "beside": ({f"model.{k}": v for k, v in STATE.items()} | {"loss.w": torch.ones(1)}, "extra 'loss.w', 'model.first"),
    "shape": (STATE | {"first.bias": torch.ones(4)}, r"'first.bias' has shape \(4,\), the network has \(3,\)"),
    "NaN": (STATE | {"second.bias": torch.tensor([0.0, float("nan")])}, "NaN or infinite weights in 'second.bias'"),
    "infinite": (STATE | {"first.bias": torch.full((3,), -float("inf"))}, "NaN or infinite weights in 'first.bias'"),
}


WRAPPERS = ["module.", "_orig_mod.", "model.", "state_dict.", "module._orig_mod.", "state_dict.model.module."]


@pytest.mark.parametrize("prefix", WRAPPERS)
def test_what_wrappers_put_before_every_key_is_taken_off(tmp_path, prefix):
    save_file({f"{prefix}{name}": value for name, value in STATE.items()}, tmp_path / "net.safetensors")
    module = network(0)
    load_checkpoint(module, tmp_path / "net.safetensors", "checkpoint")
    assert torch.equal(module.second.weight, network(1).second.weight)


def test_a_networks_own_prefix_stays(tmp_path):
    own = nn.ModuleDict({"model": nn.ModuleDict({"model": nn.Linear(2, 2)})})
    state = {name: torch.full_like(value, 3.0) for name, value in own.state_dict().items()}
    for prefix in ("", "module.", "model."):
        save_file({f"{prefix}{name}": value for name, value in state.items()}, tmp_path / "net.safetensors")
        own.model.model.weight.data.zero_()
        load_checkpoint(own, tmp_path / "net.safetensors", "checkpoint")
        assert (own.model.model.weight == 3).all()


def brevitas_network():
    """Scales of activations come from statistics of 2 batches: their parameters appear when those are over."""
    from brevitas import nn as qnn
    from brevitas.quant import Int8ActPerTensorFloat

    class FewBatches(Int8ActPerTensorFloat):
        collect_stats_steps = 2

    return nn.Sequential(
        qnn.QuantIdentity(act_quant=FewBatches),
        qnn.QuantConv2d(1, 4, 3, weight_bit_width=4),
        qnn.QuantReLU(bit_width=4),
        nn.Flatten(),
        qnn.QuantLinear(4 * 36, 10, bias=True, weight_bit_width=8),
    )


def brevitas_state():
    with torch.random.fork_rng(devices=[]):
        trained = brevitas_network().train()
        for _ in range(40):
            trained(torch.rand(8, 1, 8, 8))
    return trained.eval().state_dict()


def test_parameters_of_brevitas_that_appear_while_loading(tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trained = brevitas_network().train()
        for _ in range(40):
            trained(torch.rand(8, 1, 8, 8))
        trained.eval()
        fresh = brevitas_network()
        x = torch.rand(16, 1, 8, 8)
    state = trained.state_dict()
    assert set(state) - set(fresh.state_dict())  # which is what such a checkpoint was refused for
    save_file(state, tmp_path / "net.safetensors")
    load_checkpoint(fresh, tmp_path / "net.safetensors", "checkpoint")
    with torch.no_grad():
        torch.testing.assert_close(fresh.eval()(x), trained(x), rtol=0, atol=0)
    save_file(state | {"9.weight": torch.ones(1)}, tmp_path / "extra.safetensors")
    with pytest.raises(UserError, match=r"the keys differ from the network's: extra '9\.weight'"):
        load_checkpoint(brevitas_network(), tmp_path / "extra.safetensors", "checkpoint")
    few = {name: value for name, value in state.items() if name != "4.weight"}
    save_file(few, tmp_path / "few.safetensors")
    with pytest.raises(UserError, match=r"missing '4\.weight'"):
        load_checkpoint(brevitas_network(), tmp_path / "few.safetensors", "checkpoint")


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


def test_a_parameter_of_brevitas_that_appears_while_loading_is_missed_by_name(tmp_path):
    """Not the network's before, nor the checkpoint's: the layer alone knows that it needs it."""
    state = brevitas_state()
    late = sorted(set(state) - set(brevitas_network().state_dict()))
    assert late
    path = tmp_path / "few.safetensors"
    save_file({name: value for name, value in state.items() if name != late[0]}, path)
    with pytest.raises(UserError, match=f"the keys differ from the network's: missing '{late[0]}'"):
        load_checkpoint(brevitas_network(), path, "checkpoint")


def test_a_wrong_shape_is_named_where_other_parameters_appear_while_loading(tmp_path):
    state = brevitas_state()
    weight = next(name for name in state if name.endswith("weight"))
    save_file({**state, weight: state[weight][..., :1].contiguous()}, tmp_path / "wrong.safetensors")
    with pytest.raises(UserError, match=f"checkpoint: '{weight}' has shape"):
        load_checkpoint(brevitas_network(), tmp_path / "wrong.safetensors", "checkpoint")
