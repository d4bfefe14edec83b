"""Weights that something computes before each forward pass, made plain parameters once, when a network is taken in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from bench.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

PASSES = 2  # hooks of one layer may build on each other's last pass: a mask on what a weight norm reads


def made_weights(module: nn.Module) -> list[str]:
    """The weights that are computed before each pass, and by what, in the order of the layers.

    >>> from torch import nn
    >>> from torch.nn.utils.parametrizations import weight_norm
    >>> made_weights(nn.Sequential(weight_norm(nn.Linear(2, 3)), nn.Linear(3, 3)))
    ['0.weight: weight_norm']
    """
    found = []
    for name, layer in module.named_modules():
        prefix = f"{name}." if name else ""
        found += [f"{prefix}{tensor}: {kind}" for tensor, kind in _hooked(layer)]
        for tensor, chain in _parametrised(layer).items():
            found.append(f"{prefix}{tensor}: {' and '.join(map(_kind, chain))}")
    return found


def materialise(module: nn.Module, where: str = "") -> list[str]:
    """Give each layer the weights that ``weight_norm``, ``spectral_norm``, pruning masks and parametrisations compute.

    The same function in evaluation mode: a forward pass would compute the very same tensors, and those that lay
    transposed in memory no longer do, which may change the last bit of a sum. In place. Weights that
    are equal and were computed from one shared parameter stay one parameter.

    Args:
        module: in evaluation mode, its weights loaded.
        where: what errors name.

    Returns:
        What ``made_weights`` answered before.

    Raises:
        UserError: a weight changes from pass to pass, or is no parameter for a reason that is not known.
    """
    import torch

    found = made_weights(module)
    layers = list(reversed(list(module.named_modules())))
    for name, layer in layers:
        if any(torch.nn.parameter.is_lazy(value) for value in layer.parameters(recurse=False)):
            right = "let the factory run the network once on a batch before it returns it"
            raise UserError.at(where, f"layer {name!r} has no weights yet: it is lazy", right)
    with torch.no_grad():
        made = [(name, layer, *_values(name, layer, where)) for name, layer in layers]
    shared: Shared = {}
    for _, layer, hooked, parametrised in made:  # all computed before any is removed: two may read one parameter
        _unhook(layer, hooked, shared)
        _unparametrise(layer, parametrised, shared)
    _refuse_plain(module, where)
    return found


def refuse_setters(module: nn.Module, run: Callable[[], object], where: str) -> None:
    """Raise ``UserError`` where a forward hook writes weights: what steps change would be overwritten or stale.

    Every parameter is moved by 1, the network is run, and the parameters are looked at; they are put back.

    Args:
        module: materialised, in evaluation mode.
        run: a forward pass.
        where: what the error names.
    """
    import torch

    if not any(_any_hook(layer) for layer in module.modules()):
        return
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    with torch.no_grad():
        for value in module.parameters():
            value.add_(1)
        moved = {name: value.detach().clone() for name, value in module.named_parameters()}
        try:
            run()
            after = dict(module.named_parameters())
            written = [name for name, value in moved.items() if name not in after or not _same(after[name], value)]
        finally:
            for name, value in module.named_parameters():
                if name in before:
                    value.copy_(before[name])
    if written:
        raise _set_by_hook(written[0], where)
    _refuse_plain(module, where)


def plain_checkpoint(
    state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The state of a checkpoint for a network that differs in how its weights are computed; and what was made plain.

    ``weight_orig`` and ``weight_mask`` of ``torch.nn.utils.prune`` become ``weight = mask * orig`` where the network
    has a plain weight; ``weight_g`` and ``weight_v`` of the old ``weight_norm`` are renamed for the new one, as torch
    does itself.

    >>> import torch
    >>> state = {"weight_orig": torch.tensor([2.0, 3.0]), "weight_mask": torch.tensor([0.0, 1.0])}
    >>> plain_checkpoint(state, {"weight": torch.zeros(2)})
    ({'weight': tensor([0., 3.])}, ['weight: prune, of the checkpoint'])
    """
    made, notes = dict(state), []
    for name in expected:
        path, _, tensor = name.rpartition(".")
        if f"{name}_orig" in made and f"{name}_mask" in made and name not in made:
            made[name] = made.pop(f"{name}_mask") * made.pop(f"{name}_orig")
            notes.append(f"{name}: prune, of the checkpoint")
        if tensor == "original0" and path.rpartition(".")[0].endswith("parametrizations"):
            owner, weight = path.rpartition(".")[0].removesuffix("parametrizations"), path.rpartition(".")[2]
            for old, new in ((f"{owner}{weight}_g", name), (f"{owner}{weight}_v", f"{path}.original1")):
                if old in made and new not in made:
                    made[new] = made.pop(old)
    return made, notes


def _known() -> tuple[tuple[type, str, str], ...]:
    """Hooks of torch that compute a weight: their class, the attribute that names it, and what people call them."""
    from torch.nn.utils.prune import BasePruningMethod
    from torch.nn.utils.spectral_norm import SpectralNorm
    from torch.nn.utils.weight_norm import WeightNorm

    return (
        (WeightNorm, "name", "weight_norm"),
        (SpectralNorm, "name", "spectral_norm"),
        (BasePruningMethod, "_tensor_name", "prune"),
    )


def _pre_hooks(layer: nn.Module) -> dict[int, Any]:
    return dict(getattr(layer, "_forward_pre_hooks", None) or {})


def _any_hook(layer: nn.Module) -> bool:
    return bool(getattr(layer, "_forward_pre_hooks", None) or getattr(layer, "_forward_hooks", None))


def _hooked(layer: nn.Module) -> list[tuple[str, str]]:
    """Tensor and kind of each known hook, in the order in which they run."""
    found = []
    for hook in _pre_hooks(layer).values():
        found += [(getattr(hook, name), kind) for cls, name, kind in _known() if isinstance(hook, cls)]
    return found


def _parametrised(layer: nn.Module) -> dict[str, Any]:
    from torch.nn.utils import parametrize

    return dict(layer.parametrizations.items()) if parametrize.is_parametrized(layer) else {}  # type: ignore[operator, union-attr]


def _kind(parametrisation: nn.Module) -> str:
    """What people call it.

    >>> from torch.nn.utils import parametrizations
    >>> _kind(parametrizations._WeightNorm())
    'weight_norm'
    """
    name = type(parametrisation).__name__
    known = {"_WeightNorm": "weight_norm", "_SpectralNorm": "spectral_norm", "_Orthogonal": "orthogonal"}
    return known.get(name, f"parametrisation {name}")


Values = dict[str, "torch.Tensor"]


def _values(name: str, layer: nn.Module, where: str) -> tuple[Values, Values]:
    """What the known hooks and the parametrisations compute, in copies of their own.

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


def _same(found: torch.Tensor, value: torch.Tensor) -> bool:
    import torch

    return found.shape == value.shape and torch.equal(torch.nan_to_num(found), torch.nan_to_num(value))


Shared = dict[tuple[int, ...], "nn.Parameter"]


def _parameter(value: torch.Tensor, sources: Iterable[torch.Tensor], shared: Shared) -> nn.Parameter:
    """A parameter of this value; the one that was made before of the same sources, where it is equal."""
    from torch import nn

    made = nn.Parameter(value, requires_grad=value.is_floating_point())
    known = shared.setdefault(tuple(map(id, sources)), made)
    return known if _same(known, made) else made


def _unhook(layer: Any, values: Values, shared: Shared) -> None:
    """Remove the known hooks, last first, with what belongs to them, and put parameters in their place."""
    from torch.nn.utils import remove_spectral_norm, remove_weight_norm

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
    from torch.nn.utils.prune import BasePruningMethod

    for key, hook in _pre_hooks(layer).items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == tensor:
            del layer._forward_pre_hooks[key]


def _drop_loading(layer: nn.Module) -> None:
    """Remove the hook that looks for a spectral norm's tensors in a state: torch leaves it behind."""
    from torch.nn.utils.spectral_norm import SpectralNormLoadStateDictPreHook

    for key, hook in list(layer._load_state_dict_pre_hooks.items()):
        if isinstance(getattr(hook, "hook", hook), SpectralNormLoadStateDictPreHook):
            del layer._load_state_dict_pre_hooks[key]


def _unparametrise(layer: Any, values: Values, shared: Shared) -> None:
    """Remove the parametrisations; the class of a layer may be shared by its copies, so it is left as it is."""
    from torch.nn.utils import parametrize

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


def _refuse_plain(module: nn.Module, where: str) -> None:
    """Raise ``UserError`` where a layer of torch computes with a tensor that is neither parameter nor buffer."""
    import torch
    from torch import nn
    from torch.nn.modules.batchnorm import _NormBase
    from torch.nn.modules.conv import _ConvNd

    kinds = (nn.Linear, _ConvNd, _NormBase, nn.LayerNorm, nn.GroupNorm, nn.Embedding, nn.RNNBase)
    for name, layer in module.named_modules():
        for tensor, value in vars(layer).items() if isinstance(layer, kinds) else ():
            if isinstance(value, torch.Tensor) and tensor.startswith(("weight", "bias")):
                raise _set_by_hook(f"{name}.{tensor}" if name else tensor, where)


def _set_by_hook(weight: str, where: str) -> UserError:
    path, _, tensor = weight.rpartition(".")
    layer = f'network.get_submodule("{path}")'
    what = f"layer {path!r}: its {tensor} is not a parameter of its own: a forward hook or other code sets it"
    right = f"call handle.remove() of the hook, then layer = {layer}; value = layer.{tensor}.detach().clone(); "
    right += f'layer.__dict__.pop("{tensor}", None); layer.{tensor} = torch.nn.Parameter(value)'
    return UserError.at(where, what, right)
