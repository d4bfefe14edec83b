"""Weights that something computes before each forward pass, made plain parameters once, when a network is taken in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm, SpectralNormLoadStateDictPreHook
from torch.nn.utils.weight_norm import WeightNorm

from bench.errors import UserError
from bench.networks.weight_hooks import refuse_plain

PASSES = 2  # hooks of one layer may build on each other's last pass: a mask on what a weight norm reads


def made_weights(module: nn.Module) -> list[str]:
    """The weights that are computed before each pass, and by what, in the order of the layers.

    >>> from torch import nn
    >>> from torch.nn.utils.parametrizations import weight_norm
    >>> made_weights(nn.Sequential(weight_norm(nn.Linear(2, 3)), nn.Linear(3, 3)))
    ['0.weight: weight_norm']
    """
    weights = []
    for name, layer in module.named_modules():
        prefix = f"{name}." if name else ""
        weights += [f"{prefix}{tensor}: {kind}" for tensor, kind in _hooked(layer)]
        for tensor, chain in _parametrised(layer).items():
            weights.append(f"{prefix}{tensor}: {' and '.join(map(_kind, chain))}")
    return weights


def materialise(module: nn.Module, where: str = "", run: Callable[[], object] | None = None) -> list[str]:
    """Give each layer the weights that ``weight_norm``, ``spectral_norm``, pruning masks and parametrisations compute.

    The same function in evaluation mode: a forward pass would compute the very same tensors, and those that lay
    transposed in memory no longer do, which may change the last bit of a sum. In place. Weights that are equal and
    were computed from one shared parameter stay one parameter.

    Args:
        module: in evaluation mode, its weights loaded.
        where: what errors name.
        run: a forward pass, to see whether the hooks run in it; without it that is taken for granted.

    Returns:
        What ``made_weights`` answered before.

    Raises:
        UserError: a weight changes from pass to pass, is not the one that the network computes with, or is no parameter
            for a reason that is not known.
    """
    computed = made_weights(module)
    layers = list(reversed(list(module.named_modules())))
    for name, layer in layers:
        if any(torch.nn.parameter.is_lazy(value) for value in layer.parameters(recurse=False)):
            right = "let the factory run the network once on a batch before it returns it"
            raise UserError.at(where, f"layer {name!r} has no weights yet: it is lazy", right)
    idle = [] if run is None or not computed else _idle(layers, run)
    with torch.no_grad():
        made = [(name, layer, *_values(name, layer, where)) for name, layer in layers]
    for name, layer, hooked, _ in made:
        for tensor, last in ((tensor, last) for other, tensor, last in idle if other is layer):
            if not _same(hooked[tensor], last):
                raise _never_run(name, tensor, dict(_hooked(layer))[tensor], where)
    shared: Shared = {}
    for _, layer, hooked, parametrised in made:  # all computed before any is removed: two may read one parameter
        _unhook(layer, hooked, shared)
        _unparametrise(layer, parametrised, shared)
    refuse_plain(module, where)
    return computed


def _known() -> tuple[tuple[type, str, str], ...]:
    """Hooks of torch that compute a weight: their class, the attribute that names it, and what people call them."""
    return (
        (WeightNorm, "name", "weight_norm"),
        (SpectralNorm, "name", "spectral_norm"),
        (BasePruningMethod, "_tensor_name", "prune"),
    )


def _pre_hooks(layer: nn.Module) -> dict[int, Any]:
    return dict(getattr(layer, "_forward_pre_hooks", None) or {})


def _hooked(layer: nn.Module) -> list[tuple[str, str]]:
    """Tensor and kind of each known hook, in the order in which they run."""
    hooked = []
    for hook in _pre_hooks(layer).values():
        hooked += [(getattr(hook, name), kind) for cls, name, kind in _known() if isinstance(hook, cls)]
    return hooked


def _parametrised(layer: nn.Module) -> dict[str, Any]:
    return dict(layer.parametrizations.items()) if parametrize.is_parametrized(layer) else {}  # type: ignore[operator, union-attr]


def _kind(parametrisation: nn.Module) -> str:
    """The name that people use for it.

    >>> from torch.nn.utils import parametrizations
    >>> _kind(parametrizations._WeightNorm())
    'weight_norm'
    """
    name = type(parametrisation).__name__
    known = {"_WeightNorm": "weight_norm", "_SpectralNorm": "spectral_norm", "_Orthogonal": "orthogonal"}
    return known.get(name, f"parametrisation {name}")


Values = dict[str, "torch.Tensor"]


def _values(name: str, layer: nn.Module, where: str) -> tuple[Values, Values]:
    """The weights that the known hooks and the parametrisations compute, in copies of their own.

    Raises:
        UserError: another pass computes something else.
    """
    tensors = [tensor for tensor, _ in _hooked(layer)]
    for _ in range(PASSES if tensors else 0):
        _run_hooks(layer)
    both = [*tensors, *_parametrised(layer)]
    first = {tensor: getattr(layer, tensor).detach().contiguous().clone() for tensor in both}  # as files keep them
    _run_hooks(layer)
    for tensor, value in first.items():
        if not _same(getattr(layer, tensor), value):
            what = f"layer {name!r}: its {tensor} is computed anew before each pass, and comes out differently"
            raise UserError.at(where, what, "make it the same in evaluation mode, or assign it once as a parameter")
    return {key: first[key] for key in tensors}, {key: first[key] for key in both if key not in tensors}


def _run_hooks(layer: nn.Module) -> None:
    classes: tuple[type[Any], ...] = tuple(cls for cls, _, _ in _known())
    for hook in _pre_hooks(layer).values():
        if isinstance(hook, classes):
            hook(layer, ())


def _same(other: torch.Tensor, value: torch.Tensor) -> bool:
    return other.shape == value.shape and torch.equal(torch.nan_to_num(other), torch.nan_to_num(value))


Shared = dict[tuple[int, ...], "nn.Parameter"]


def _parameter(value: torch.Tensor, sources: Iterable[torch.Tensor], shared: Shared) -> nn.Parameter:
    """A parameter of this value; the one that was made before of the same sources, where it is equal."""
    made = nn.Parameter(value, requires_grad=value.is_floating_point())
    known = shared.setdefault(tuple(map(id, sources)), made)
    return known if _same(known, made) else made


def _unhook(layer: Any, values: Values, shared: Shared) -> None:
    """Remove the known hooks, last first, with what belongs to them, and put parameters in their place."""
    for tensor, kind in reversed(_hooked(layer)):
        ends = {"prune": ("_orig",), "weight_norm": ("_g", "_v"), "spectral_norm": ("_orig",)}[kind]
        made = _parameter(values[tensor], [getattr(layer, tensor + end) for end in ends], shared)
        if kind == "prune":  # torch's own way back writes into the parameter, which another layer may hold too
            _drop_hook(layer, tensor)
            for name in (tensor, f"{tensor}_orig", f"{tensor}_mask"):
                delattr(layer, name)
        else:
            (remove_weight_norm if kind == "weight_norm" else remove_spectral_norm)(layer, tensor)
            delattr(layer, tensor)
            _drop_loading(layer)
        setattr(layer, tensor, made)


def _drop_hook(layer: nn.Module, tensor: str) -> None:
    for key, hook in _pre_hooks(layer).items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == tensor:
            del layer._forward_pre_hooks[key]


def _drop_loading(layer: nn.Module) -> None:
    """Remove the hook that looks for a spectral norm's tensors in a state: torch leaves it behind."""
    for key, hook in list(layer._load_state_dict_pre_hooks.items()):
        if isinstance(getattr(hook, "hook", hook), SpectralNormLoadStateDictPreHook):
            del layer._load_state_dict_pre_hooks[key]


def _unparametrise(layer: Any, values: Values, shared: Shared) -> None:
    """Remove the parametrisations; the class of a layer may be shared by its copies, so it is left as it is."""
    if not values:
        return
    chains = _parametrised(layer)
    layer.__class__ = parametrize.type_before_parametrizations(layer)
    del layer._modules["parametrizations"]
    for tensor, value in values.items():
        sources = list(chains[tensor].parameters(recurse=False))
        if sources:
            layer.register_parameter(tensor, _parameter(value, sources, shared))
        else:
            layer.register_buffer(tensor, value)


def _idle(layers: list[tuple[str, nn.Module]], run: Callable[[], object]) -> list[tuple[nn.Module, str, torch.Tensor]]:
    """Layer, tensor and last value of each known hook that does not run in a forward pass.

    Attention reads the weight of its output layer without calling it, for one.
    """
    last = [(layer, tensor, getattr(layer, tensor)) for _, layer in layers for tensor, _ in _hooked(layer)]
    run()
    return [(layer, tensor, value) for layer, tensor, value in last if getattr(layer, tensor) is value]


def _never_run(name: str, tensor: str, kind: str, where: str) -> UserError:
    what = (
        f"layer {name!r}: the forward pass does not call it, so that its {kind} never runs, and its {tensor} is stale"
    )
    remove = {"prune": "prune.remove", "weight_norm": "remove_weight_norm", "spectral_norm": "remove_spectral_norm"}
    layer = f'network.get_submodule("{name}")'
    right = f'call torch.nn.utils.{remove[kind]}({layer}, "{tensor}") after the weights are loaded'
    return UserError.at(where, what, f"{right}, and save that")
