"""Groups of coupled channels of a network, and their removal."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
import torch_pruning
from torch import nn

from bench.models.training import reproducible
from bench.networks.interface import scored_classes
from bench.networks.members import MemberMask, one_member
from bench.networks.network import InputSpec
from bench.networks.tied_weights import shared_layers

History: TypeAlias = list[list[Any]]  # [layer name, output channels or not, channel indices]

Role = Literal["makes", "reads", "passes"]


class Entry(NamedTuple):
    """A layer that channels run through: which of its outputs or inputs stand for which unit.

    Layers with weights make channels or read them (a depthwise convolution counts as a maker); BatchNorm and the like
    pass them on.
    """

    layer: str
    role: Role
    channels: tuple[int, ...]
    units: tuple[int, ...]  # the unit of each channel


@dataclass(frozen=True)
class ChannelGroup:
    """Channels of several layers that can only go together; named by the layer where they are first made.

    A unit is what can be removed by itself: one channel, or one of each of ``repeats`` groups of a grouped layer.
    """

    name: str
    size: int  # units
    repeats: int
    entries: tuple[Entry, ...]

    @property
    def makers(self) -> tuple[str, ...]:
        """Layers whose output channels these are."""
        return tuple(dict.fromkeys(entry.layer for entry in self.entries if entry.role == "makes"))

    def channels(self, units: Iterable[int]) -> list[int]:
        """Output channels of the naming layer that stand for these units.

        >>> ChannelGroup("conv", 3, 2, ()).channels([1])
        [1, 4]
        """
        return sorted(unit + part * self.size for unit in units for part in range(self.repeats))


@dataclass(frozen=True)
class Channels:
    """The groups of a network whose channels may go, and why others may not."""

    groups: tuple[ChannelGroup, ...]
    kept: dict[str, str]  # layer -> reason


def weighted_kinds() -> tuple[type[nn.Module], ...]:
    """Layers whose output channels have weights of their own."""
    return (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def widths(module: nn.Module) -> dict[str, int]:
    """Output channels of each layer with weights.

    >>> from torch import nn
    >>> widths(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4)))
    {'0': 3, '2': 4}
    """
    kinds = weighted_kinds()
    return {name: layer.weight.shape[0] for name, layer in module.named_modules() if isinstance(layer, kinds)}  # type: ignore[index, misc]


def find_channels(module: nn.Module, declared: InputSpec, kept: Mapping[str, str] | None = None) -> Channels:
    """Group the channels of a module that maps images of the declared shape to classes.

    A group whose removal breaks the forward pass (heads of an attention that is cut into equal parts) is kept, with
    the reason; so are those of layers that share a parameter, and the classes. ``kept`` are the reasons found before an
    earlier cut; no trial is made then.
    """
    with _tracing():
        traced = copy.deepcopy(module)
        graph = _dependencies(traced, declared)
        outputs = _output_layers(graph)
        names = {layer: name for name, layer in traced.named_modules()}
        groups = [_read(group, graph, names) for group in _groups(graph, outputs)]
        if kept is not None:
            return Channels(tuple(group for group in groups if group.name not in kept), dict(kept))
        refused = _sharing(module, groups) | _merging(groups)
        refused |= _refused(module, declared, [group for group in groups if group.name not in refused])
    reasons = {names[layer]: "its channels are the outputs" for layer in outputs}
    reasons |= {maker: refused[group.name] for group in groups if group.name in refused for maker in group.makers}
    known = set(reasons) | {maker for group in groups for maker in group.makers}
    reasons |= {name: "its channels are tied to the outputs" for name in widths(module) if name not in known}
    return Channels(tuple(group for group in groups if group.name not in refused), reasons)


def remove(
    module: nn.Module, declared: InputSpec, groups: Sequence[ChannelGroup], chosen: Mapping[str, Sequence[int]]
) -> tuple[nn.Module, History]:
    """A copy of the module without the chosen units of each group, and how to repeat it with ``replay``.

    Raises:
        RuntimeError: what is left does not give one output a class.
    """
    cut = [group for group in groups if chosen.get(group.name)]
    history: History = [[group.name, True, group.channels(chosen[group.name])] for group in cut]
    return replay(module, declared, history), history


def replay(module: nn.Module, declared: InputSpec, history: History) -> nn.Module:
    """A copy of the module with the channels of a history removed, in its order."""
    cut = copy.deepcopy(module)
    if history:
        with _tracing():
            _dependencies(cut, declared).load_pruning_history(copy.deepcopy(history))
    if not _runs(cut, declared):
        raise RuntimeError("pruning broke the network")
    return cut.requires_grad_(True).eval()


def shrink(
    module: nn.Module, declared: InputSpec, group: ChannelGroup, cuts: Iterable[Sequence[int]]
) -> Iterator[nn.Module]:
    """One copy of the module that loses more and more units of a group: each cut holds the one before it.

    The same module is handed out again and again, so that its graph is traced once.
    """
    smaller = copy.deepcopy(module)
    with _tracing():
        graph = _dependencies(smaller, declared)
    left = list(range(group.size))
    for cut in cuts:
        positions = [position for position, unit in enumerate(left) if unit in set(cut)]
        if positions:
            with _tracing():
                channels = replace(group, size=len(left)).channels(positions)
                graph.load_pruning_history([[group.name, True, channels]])
            left = [unit for unit in left if unit not in set(cut)]
        yield smaller


@contextmanager
def _tracing() -> Iterator[None]:
    """Gradients on, one thread, no global random state changed, and no word of parameters that no layer owns."""
    with reproducible("pruning"), warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")
        yield


def _example(module: nn.Module, declared: InputSpec) -> tuple[torch.Tensor]:
    """An input in a tuple: a bare tensor would be unpacked along its batch."""
    first = next(module.parameters(), None)
    return (torch.zeros(2, *declared.network_shape, dtype=None if first is None else first.dtype),)


class MemberMaskPruner(torch_pruning.BasePruningFunc):  # type: ignore[misc]
    """Masks lose the columns of the units that go, so that they stay aligned."""

    TARGET_MODULES = MemberMask

    def prune_out_channels(self, layer: MemberMask, idxs: Sequence[int]) -> MemberMask:
        """Remove these columns, in place."""
        kept = [unit for unit in range(layer.units) if unit not in set(idxs)]
        layer.factors = layer.factors[:, :, kept].clone()
        return layer

    prune_in_channels = prune_out_channels

    def get_out_channels(self, layer: MemberMask) -> int:
        """How many units are masked."""
        return layer.units

    get_in_channels = get_out_channels


def _dependencies(module: nn.Module, declared: InputSpec) -> Any:
    module.requires_grad_(True)  # torch-pruning finds the graph through autograd
    with one_member(module, 0):  # rows of several members would be taken for channels
        return torch_pruning.DependencyGraph().build_dependency(
            module.eval(),
            example_inputs=_example(module, declared),
            verbose=False,
            customized_pruners={MemberMask: MemberMaskPruner()},
        )


def _output_layers(graph: Any) -> list[nn.Module]:
    """The layers whose channels are the network's outputs: the first with weights, walking back from each end."""
    ends = [node for node in graph.module2node.values() if not node.outputs]
    layers: list[nn.Module] = []
    visited: set[int] = set()
    while ends:
        node = ends.pop()
        if id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node.module, weighted_kinds()):
            layers.append(node.module)
        else:
            ends.extend(node.inputs)
    return layers


def _groups(graph: Any, outputs: list[nn.Module]) -> list[Any]:
    return list(graph.get_all_groups(ignored_layers=outputs, root_module_types=list(weighted_kinds())))


def _read(group: Any, graph: Any, names: Mapping[Any, str]) -> ChannelGroup:
    """A group of torch-pruning as plain values."""
    channels = len(group[0].idxs)
    repeats = max([1, *(_repeats(item.dep.target.module) for item in group.items)])
    size = channels // repeats
    entries = []
    for item in group.items:
        layer = item.dep.target.module
        if layer not in names or any(root is None for root in item.root_idxs):
            continue
        output = graph.is_out_channel_pruning_fn(item.dep.handler)
        role: Role = "passes" if not isinstance(layer, weighted_kinds()) else "makes" if output else "reads"
        units = tuple(int(root) % size for root in item.root_idxs)
        entries.append(Entry(names[layer], role, tuple(int(index) for index in item.idxs), units))
    return ChannelGroup(names[group[0].dep.target.module], size, repeats, tuple(entries))


def _repeats(layer: Any) -> int:
    """Into how many equal parts a layer cuts its channels; a depthwise convolution treats each by itself."""
    if isinstance(layer, nn.GroupNorm):
        return layer.num_groups
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d) and layer.groups != layer.out_channels:
        return layer.groups
    return 1


def _sharing(module: nn.Module, groups: Sequence[ChannelGroup]) -> dict[str, str]:
    """Groups with a layer that shares a parameter: cut in one layer alone, it would no longer be shared."""
    shared = shared_layers(module)
    refused = {}
    for group in groups:
        layer = next((entry.layer for entry in group.entries if entry.layer in shared), None)
        if layer is not None:
            refused[group.name] = f"{layer} and {shared[layer]} share a parameter"
    return refused


def _merging(groups: Sequence[ChannelGroup]) -> dict[str, str]:
    """Groups of which several units are one channel of a layer: behind a flattening that a layer's second call reads.

    One of these units cannot be taken alone, and the library cuts more channels than the units stand for.
    """
    return {
        group.name: f"several of its units are one channel of {entry.layer}"
        for group in groups
        for entry in group.entries
        if len(set(entry.channels)) < len(entry.channels)
    }


def _refused(module: nn.Module, declared: InputSpec, groups: Sequence[ChannelGroup]) -> dict[str, str]:
    """Groups that lose no unit without breaking the network, with the reason: each is tried with one unit.

    One unit is the sharpest trial: half of an attention's inputs may still be cut into equal, wrong parts.
    """
    refused = {group.name: "it has a single channel" for group in groups if group.size == 1}
    waiting = [group for group in groups if group.size > 1]
    while waiting:
        trial = copy.deepcopy(module)
        graph = _dependencies(trial, declared)
        for group in list(waiting):
            waiting.remove(group)
            try:
                graph.load_pruning_history([[group.name, True, group.channels([0])]])
                broken = not _runs(trial, declared)
            except Exception:  # whatever the user's forward pass raises
                broken = True
            if broken:
                refused[group.name] = "the network does not run without one of its channels"
                break
    return refused


def _runs(module: nn.Module, declared: InputSpec) -> bool:
    """Whether the module gives one output a class."""
    with torch.no_grad():
        out = module.eval()(*_example(module, declared))
    return scored_classes(out.shape, 2, declared.members) == len(declared.classes)
