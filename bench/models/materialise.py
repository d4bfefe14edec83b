"""Weights that are made anew at every call, by parametrisations or hooks, made once and kept as plain parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

import torch
from torch import nn
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm, SpectralNormLoadStateDictPreHook, SpectralNormStateDictHook
from torch.nn.utils.weight_norm import WeightNorm

from bench.errors import UserError

KNOWN: Final[tuple[tuple[type, str, Callable[[nn.Module, Any], object]], ...]] = (
    (WeightNorm, "weight_norm", lambda layer, hook: remove_weight_norm(layer, hook.name)),
    (SpectralNorm, "spectral_norm", lambda layer, hook: remove_spectral_norm(layer, hook.name)),
    (prune.BasePruningMethod, "prune", lambda layer, hook: prune.remove(layer, hook._tensor_name)),  # type: ignore[no-untyped-call]
)


def materialise(module: nn.Module, where: str = "network") -> list[str]:
    """Replace parametrisations, weight and spectral norms and pruning masks by the weights they make, in place.

    The module must be in evaluation mode, in which they make the same weights at every call; it then computes the
    same. TorchScript is left as it is: its weights are its own.

    Returns:
        ``layer.weight: what made it``, in the order of the layers; empty where all weights were plain.

    Raises:
        UserError: a parametrisation that cannot be taken off, with the layer and the call that takes it off.

    >>> layer = torch.nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)).eval()
    >>> materialise(layer), type(layer.weight).__name__
    (['weight: weight_norm'], 'Parameter')
    """
    if isinstance(module, torch.jit.ScriptModule):
        return []
    done: list[str] = []
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, layer in module.named_modules():
            for tensor, told in (*_parametrised(layer, name, where), *_hooked(layer)):
                done.append(f"{name}.{tensor}: {told}".removeprefix("."))
            for key, value in layer.__dict__.items():
                if isinstance(value, torch.Tensor) and not value.is_leaf:  # such a module cannot be copied
                    layer.__dict__[key] = value.detach()
    return done


def _parametrised(layer: nn.Module, name: str, where: str) -> Iterator[tuple[str, str]]:
    if not parametrize.is_parametrized(layer):
        return
    made: Any = layer.parametrizations
    for tensor in list(made):
        told = ", ".join(type(part).__name__.lstrip("_") for part in made[tensor])
        told = {"WeightNorm": "weight_norm", "SpectralNorm": "spectral_norm"}.get(told, told)
        try:
            parametrize.remove_parametrizations(layer, tensor, leave_parametrized=True)
        except Exception as error:  # a parametrisation of the user's own may fail in any way
            line = " ".join(str(error).split())[:200]
            what = f"layer {name!r} makes its {tensor} by a parametrisation ({told}) that cannot be taken off: {line}"
            right = f'call torch.nn.utils.parametrize.remove_parametrizations(layer, "{tensor}") in the factory'
            raise UserError.at(where, what, right) from error
        if tensor in layer._buffers:  # torch makes a buffer of what was made of several tensors: it would not train
            value = layer._buffers.pop(tensor)
            assert value is not None
            layer.register_parameter(tensor, nn.Parameter(value.clone()))
        yield tensor, told


def _hooked(layer: nn.Module) -> Iterator[tuple[str, str]]:
    for hook in list(layer._forward_pre_hooks.values()):
        for kind, told, remove in KNOWN:
            if isinstance(hook, kind):
                tensor = str(getattr(hook, "name", None) or getattr(hook, "_tensor_name", "weight"))
                masks = isinstance(hook, prune.PruningContainer)
                remove(layer, hook)
                for kept in (layer._state_dict_hooks, layer._load_state_dict_pre_hooks):
                    for key in [key for key, item in kept.items() if _of_spectral_norm(item)]:
                        del kept[key]
                yield tensor, f"{told}, {len(hook)} masks" if masks else told  # type: ignore[arg-type]


def _of_spectral_norm(hook: object) -> bool:
    """A hook that still asks for the norm's own entries: torch itself leaves those that it has wrapped."""
    return isinstance(getattr(hook, "hook", hook), SpectralNormLoadStateDictPreHook | SpectralNormStateDictHook)


def masked(state: Mapping[str, torch.Tensor], expected: Collection[str]) -> tuple[dict[str, torch.Tensor], list[str]]:
    """A checkpoint of a network with pruning masks for one without: each ``weight_orig`` times its ``weight_mask``.

    Only where the network has the product's name and not theirs; and what was multiplied.

    >>> state = {"a.weight_orig": torch.tensor([2.0, 3.0]), "a.weight_mask": torch.tensor([1.0, 0.0])}
    >>> masked(state, ["a.weight"])
    ({'a.weight': tensor([2., 0.])}, ['a.weight: prune, the mask of the checkpoint'])
    """
    found, told = dict(state), []
    for name in expected:
        original, mask = f"{name}_orig", f"{name}_mask"
        if name not in state and original in state and mask in state and original not in expected:
            found[name] = found.pop(original) * found.pop(mask)
            told.append(f"{name}: prune, the mask of the checkpoint")
    return found, told


def refuse_hooks(module: nn.Module, step: str) -> None:
    """Raise ``UserError`` for hooks that a step would lose or not see: it reads weights, or takes layers apart.

    Names the first layer with one, and what takes it off.
    """
    for name, layer in module.named_modules():
        hooks = [*layer._forward_pre_hooks.values(), *layer._forward_hooks.values()]
        plain = [key for key in ("weight", "bias") if isinstance(layer.__dict__.get(key), torch.Tensor)]
        if not hooks and not plain:
            continue
        place = f"layer {name!r}" if name else "the network"
        told = ", ".join(getattr(hook, "__qualname__", type(hook).__name__) for hook in hooks)
        what = f"{place} has a forward hook ({told}), which {step} would lose"
        right = "take it off in the factory: handle.remove(), and let the layer compute by itself"
        if plain:
            made = f"by a hook ({told})" if hooks else "outside of its parameters"
            what = f"{place} makes its {plain[0]} {made}, which {step} cannot see"
            right = f"set layer.{plain[0]} = torch.nn.Parameter(...) in the factory, and remove the hook"
        raise UserError.at(step, what, right)
