"""Reading weights without ever unpickling: safetensors only, checked before they are used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import safetensors
import torch
from safetensors.torch import load
from torch import nn

from bench.errors import UserError
from bench.networks.given_files import existing_file, named, refuse_pickle
from bench.networks.tied_weights import contradictions, shared_names
from bench.outside_networks.plain_checkpoint import plain_checkpoint

WRAPPERS: Final = ("module.", "_orig_mod.", "model.", "state_dict.")


def load_checkpoint(module: nn.Module, path: Path, where: str) -> list[str]:
    """Load a safetensors file into the module, strictly; returns the weights whose masks were made plain for it.

    Prefixes that wrappers put before every key are taken off where the rest is the network's.

    Raises:
        UserError: no such file, a pickle, no safetensors, missing or extra keys, wrong shapes, NaN or infinite values.
    """
    blob = existing_file(path, where).read_bytes()
    # an eight-byte length comes first in safetensors, so its first byte may look like a pickle's
    if path.suffix.lower() != ".safetensors" or blob[8:9] != b"{":
        refuse_pickle(path, blob[:8], where)
    try:
        state = load(blob)
    except (safetensors.SafetensorError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError.at(where, f"{str(path)!r} is no safetensors file: {reason}", "write it anew") from None
    for name, other in shared_names(module).items():  # safetensors.torch.save_model keeps one name of a tied tensor
        for held in ("", *WRAPPERS):
            _name_both(state, f"{held}{name}", f"{held}{other}")
    state, made = fitted(state, module.state_dict())
    make_lazy_parameters(module, state)
    expected = module.state_dict()
    if not set(expected) <= set(state):
        _check_keys(expected, state, where)
    for name, value in expected.items():
        if state[name].shape != value.shape:
            what = f"{name!r} has shape {tuple(state[name].shape)}, the network has {tuple(value.shape)}"
            raise UserError.at(where, what, "give the checkpoint of this very network")
    _check_keys(expected, state, where)
    check_finite(state.items(), where)
    for name, other in contradictions(module, state).items():
        what = f"{name!r} and {other!r} are one parameter of the network, and differ in {str(path)!r}"
        raise UserError.at(where, what, "give the checkpoint of this very network")
    asked = module.load_state_dict(state, strict=False)  # layers of brevitas miss parameters that appear only now
    _check_keys([*state, *asked.missing_keys], state, where)
    return made


def fitted(
    state: Mapping[str, torch.Tensor], expected: dict[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The state under the network's own names, and what was multiplied with its mask for that.

    What wrappers put before every key (``module.``, ``_orig_mod.``, ``model.``, ``state_dict.``, one or several) is
    taken off, and pruned weights are multiplied with their masks, where the keys are the network's then; where some
    parameters of the state may appear while loading, all of the network's must be there. Else the state as it is.
    """
    wanted, bare = set(expected), dict(state)
    holding = None
    while True:
        fitting, made_plain = plain_checkpoint(bare, expected)
        if set(fitting) == wanted:
            return fitting, made_plain
        if holding is None and wanted and wanted <= set(fitting):
            holding = fitting, made_plain
        prefix = next((item for item in WRAPPERS if bare and all(key.startswith(item) for key in bare)), None)
        if prefix is None:
            return holding or (dict(state), [])
        bare = {key.removeprefix(prefix): value for key, value in bare.items()}


def _name_both(state: dict[str, torch.Tensor], name: str, other: str) -> None:
    """Give a tensor that a state holds under one of two names the other one too."""
    kept = state.get(name, state.get(other))
    if kept is not None:
        state.setdefault(name, kept)
        state.setdefault(other, kept)


def make_lazy_parameters(module: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Let layers of brevitas make the parameters that a checkpoint has and that appear only while it is loaded."""
    known = module.state_dict()
    lazy = any(type(part).__module__.startswith("brevitas.") for part in module.modules())
    if not lazy or set(state) <= set(known):
        return
    if all(state[name].shape == value.shape for name, value in known.items() if name in state):
        module.load_state_dict(state, strict=False)


def check_finite(tensors: Iterable[tuple[str, torch.Tensor]], where: str) -> None:
    """Raise ``UserError`` naming the tensors that hold NaN or infinite values."""
    bad = [name for name, value in tensors if value.is_floating_point() and not value.isfinite().all()]
    if bad:
        raise UserError.at(where, f"NaN or infinite weights in {named(bad)}", "give finite weights")


def _check_keys(expected: Iterable[str], given: Iterable[str], where: str) -> None:
    missing, extra = sorted(set(expected) - set(given)), sorted(set(given) - set(expected))
    if missing or extra:
        parts = [f"missing {named(missing)}" if missing else "", f"extra {named(extra)}" if extra else ""]
        what = "the keys differ from the network's: " + "; ".join(part for part in parts if part)
        raise UserError.at(where, what, "give the checkpoint of this very network")
