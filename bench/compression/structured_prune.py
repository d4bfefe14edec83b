"""Step ``structured-prune``: remove whole channels with torch-pruning."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from bench.compression.base import Step, StepContext, steps
from bench.errors import NotApplicable
from bench.graph.network import InputSpec, Network, TorchNetwork
from bench.models.training import reproducible
from bench.registry import parameters
from bench.stats.streams import derive_seed

if TYPE_CHECKING:
    import torch
    from torch import nn

History: TypeAlias = list[list[Any]]  # [layer name, output channels or not, channel indices]


@steps.register("structured-prune")
@parameters
class StructuredPrune(Step):
    """Remove the least important channels of every layer but the classifier; the layers really become smaller.

    Channels that belong together (through BatchNorm, sums, the next layer's input) go together. Torch-Pruning,
    arXiv:2301.12900.
    """

    ratio: Annotated[float, Field(gt=0, lt=1, description="share of channels to remove")]
    importance: Annotated[
        Literal["l1", "l2", "random"],
        Field(description="sum of absolute or squared weights over all coupled layers, or a seeded control"),
    ] = "l2"
    global_pruning: Annotated[
        bool, Field(description="rank the channels of all layers together instead of layer by layer")
    ] = False

    packages: ClassVar[tuple[str, ...]] = ("torch", "torch-pruning")
    refusal: ClassVar[dict[str, str]] = {
        "torch-quantised": "quantised layers cannot be cut; prune before quantising",
        "onnx": "it cuts torch modules; prune before exporting",
        "onnx-quantised": "quantised layers cannot be cut; prune before quantising",
    }

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Prune; raises ``NotApplicable`` where there is no channel to remove."""
        assert isinstance(network, TorchNetwork)
        module = copy.deepcopy(network.module)
        with reproducible("structured-prune", context.seed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            history = self._prune(module, network.input, context.seed)
        if not history:
            raise NotApplicable("structured-prune found no channel that it may remove")
        _check_output(module, network.input)
        before, after = _size(network.module, network.input), _size(module, network.input)
        record = {
            "history": history,
            "parameters_before": before[0],
            "parameters_after": after[0],
            "macs_before": before[1],
            "macs_after": after[1],
            "widths": _widths(module),
        }
        return TorchNetwork(module.eval(), network.input), record

    def rebuild(self, network: Network, record: dict[str, Any]) -> Network:
        """Remove the same channels again."""
        assert isinstance(network, TorchNetwork)
        module = copy.deepcopy(network.module).requires_grad_(True)
        with reproducible("structured-prune"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _dependencies(module, network.input).load_pruning_history(copy.deepcopy(record["history"]))
        return TorchNetwork(module.eval(), network.input)

    def _prune(self, module: nn.Module, declared: InputSpec, seed: int) -> History:
        import torch_pruning

        module.requires_grad_(True)  # torch-pruning finds the graph through autograd
        pruner = torch_pruning.pruner.BasePruner(
            module,
            _example(module, declared),
            importance=self._importance(seed),
            global_pruning=self.global_pruning,
            pruning_ratio=self.ratio,
            ignored_layers=_output_layers(_dependencies(module, declared)),
            in_channel_groups={},  # the defaults are shared between calls
            out_channel_groups={},
            num_heads={},
        )
        pruner.step()
        return [
            [str(name), bool(output), sorted(int(index) for index in indices)]
            for name, output, indices in pruner.pruning_history()
        ]

    def _importance(self, seed: int) -> Any:
        import torch
        import torch_pruning

        if self.importance != "random":
            return torch_pruning.importance.GroupMagnitudeImportance(p=1 if self.importance == "l1" else 2)
        own = torch.Generator().manual_seed(derive_seed("structured-prune", "random", seed))
        return lambda group: torch.rand(len(group[0].idxs), generator=own)


def _example(module: nn.Module, declared: InputSpec) -> tuple[torch.Tensor]:
    """An input in a tuple: a bare tensor would be unpacked along its batch."""
    import torch

    first = next(module.parameters(), None)
    return (torch.zeros(2, *declared.shape, dtype=None if first is None else first.dtype),)


def _dependencies(module: nn.Module, declared: InputSpec) -> Any:
    import torch_pruning

    module.requires_grad_(True)
    return torch_pruning.DependencyGraph().build_dependency(module, example_inputs=_example(module, declared))


def _output_layers(graph: Any) -> list[nn.Module]:
    """The layers whose channels are the network's outputs: the first with weights, walking back from each end."""
    from torch import nn

    ends = [node for node in graph.module2node.values() if not node.outputs]
    found: list[nn.Module] = []
    visited: set[int] = set()
    while ends:
        node = ends.pop()
        if id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node.module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            found.append(node.module)
        else:
            ends.extend(node.inputs)
    return found


def _check_output(module: nn.Module, declared: InputSpec) -> None:
    import torch

    with torch.no_grad():
        shape = tuple(module.eval()(*_example(module, declared)).shape)
    if shape != (2, len(declared.classes)):
        raise RuntimeError(f"pruning changed the output to {shape}")


def _size(module: nn.Module, declared: InputSpec) -> tuple[int, int]:
    """Parameters, and multiplications of one forward pass of one sample in convolutions and linear layers."""
    import torch
    from torch import nn

    macs = 0

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal macs
        weight: torch.Tensor = layer.weight  # type: ignore[assignment]
        positions = output[0].numel() // weight.shape[0]
        macs += positions * weight.numel()

    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    handles = [layer.register_forward_hook(count) for layer in module.modules() if isinstance(layer, kinds)]
    try:
        with torch.no_grad():
            module(*_example(module, declared))
    finally:
        for handle in handles:
            handle.remove()
    return sum(parameter.numel() for parameter in module.parameters()), macs


def _widths(module: nn.Module) -> dict[str, int]:
    """Output channels of each layer with weights."""
    from torch import nn

    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return {name: layer.weight.shape[0] for name, layer in module.named_modules() if isinstance(layer, kinds)}
