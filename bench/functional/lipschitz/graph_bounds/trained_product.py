"""The product of norms of a network in training, with gradient: what Lipschitz-margin training bounds."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, replace
from math import sqrt

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from bench.canonical_form.nodes import Add, Concatenate, Convolution, Dense, Linear, Node, Nonlinear, Scale
from bench.canonical_form.trace import unsimplified_form
from bench.errors import NotApplicable
from bench.functional.lipschitz.graph_bounds.node_norms import NodeNorms, nonlinear_part

Normalisation = nn.modules.batchnorm._BatchNorm
FIRST, EACH = 30, 1  # power steps at the first call, and at each later one


@dataclass(eq=False)
class _Layer:
    """A layer with weights, the BatchNorm that follows it alone, and its direction of largest gain so far."""

    node: Dense | Convolution
    weighted: nn.Linear | nn.modules.conv._ConvNd
    normalisation: Normalisation | None
    direction: Tensor


class TrainedProduct:
    """``L(θ)``, the product of the layers' norms of a torch module as it is now, differentiable in its weights.

    Norms of layers with weights by power iteration, one step a call from where the last one stopped (arXiv
    1802.04034), so the value is an estimate from below of the product that ``product`` certifies. A BatchNorm behind a
    layer is part of it: its deviation is that of the batch which the module saw last in training, with gradient, so
    the value cannot fall by a smaller scale alone. Branches and other layers as in ``product``.

    Args:
        module: a network that trains; a hook on each BatchNorm keeps its last variance until ``close``.
        example: one sample or more, as the network takes them.
        seed: of the directions at which power iteration begins.

    Raises:
        NotApplicable: a layer has no global constant, or weights that are neither Linear, convolution nor BatchNorm.

    >>> network = nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU())
    >>> with torch.no_grad():
    ...     _ = network[0].weight.copy_(torch.tensor([[3.0, 4.0]]))
    >>> value = TrainedProduct(network, torch.zeros(1, 2), seed=0)()
    >>> value.backward()
    >>> round(value.item(), 4), network[0].weight.grad.double().numpy().round(4).tolist()
    (5.0, [[0.6, 0.8]])
    """

    def __init__(self, module: nn.Module, example: Tensor, seed: int) -> None:
        self.graph = unsimplified_form(copy.deepcopy(module).eval(), example)
        self.norms = NodeNorms(self.graph)
        self.variances: dict[int, Tensor] = {}
        self.random = torch.Generator().manual_seed(seed)
        self.layers: dict[int, _Layer] = {}
        self.factors: dict[int, Normalisation] = {}  # that stand alone
        self.folded: set[int] = set()  # BatchNorms that are part of the layer before
        self.hooks: list[RemovableHandle] = []
        self._arrange(dict(module.named_modules()))
        self._warm(FIRST)

    def __call__(self) -> Tensor:
        """The value, a scalar with gradient."""
        self._warm(EACH)
        bounds: list[Tensor] = []
        for place, node in enumerate(self.graph.nodes):
            given = [bounds[k] for k in node.inputs]
            bounds.append(self._of(place, node, given) if given else torch.ones(()))
        return bounds[-1]

    def close(self) -> None:
        """Take the hooks off the module."""
        for hook in self.hooks:
            hook.remove()

    def _of(self, place: int, node: Node, given: list[Tensor]) -> Tensor:
        if place in self.layers:
            gain: Tensor = torch.linalg.vector_norm(self._gain(self.layers[place]))
            return given[0] * gain
        if place in self.folded:
            return given[0]
        if place in self.factors:
            return given[0] * self._factor(self.factors[place]).abs().max()
        if isinstance(node, Nonlinear):
            return given[0] * nonlinear_part(self.graph, place).largest
        if isinstance(node, Add):
            total = torch.zeros(())
            for c, bound in zip(node.coefficients, given, strict=True):
                total = total + abs(c) * bound
            return total
        return torch.stack(given).norm() if isinstance(node, Concatenate) else given[0] * self.norms(node)

    def _arrange(self, modules: dict[str, nn.Module]) -> None:
        users = Counter(place for node in self.graph.nodes for place in node.inputs)
        for place, node in enumerate(self.graph.nodes):
            own = modules.get(node.name)
            weighted = own is not None and any(True for _ in own.parameters(recurse=False))
            if isinstance(node, Dense | Convolution) and isinstance(own, nn.Linear | nn.modules.conv._ConvNd):
                start = torch.randn(1, *self.graph.nodes[node.inputs[0]].shape, generator=self.random)
                self.layers[place] = _Layer(node, own, None, start.to(own.weight))
            elif isinstance(node, Scale) and isinstance(own, Normalisation):
                self.hooks.append(own.register_forward_pre_hook(self._keep_variance))
                before = self.layers.get(node.inputs[0])
                if before is not None and users[node.inputs[0]] == 1:
                    before.normalisation = own
                    self.folded.add(place)
                else:
                    self.factors[place] = own
            elif isinstance(node, Linear) and weighted and not isinstance(node, Scale):
                raise NotApplicable(f"{node.name}: a {type(own).__name__} has no norm with gradient")

    def _keep_variance(self, module: nn.Module, given: tuple[Tensor, ...]) -> None:
        if module.training:
            axes = [axis for axis in range(given[0].ndim) if axis != 1]
            self.variances[id(module)] = given[0].var(dim=axes, correction=0)

    def _factor(self, normalisation: Normalisation) -> Tensor:
        assert normalisation.running_var is not None
        variance = self.variances.get(id(normalisation), normalisation.running_var)
        factor = (variance + normalisation.eps).rsqrt()
        return factor if normalisation.weight is None else factor * normalisation.weight

    def _gain(self, layer: _Layer) -> Tensor:
        """What the layer, its BatchNorm included, makes of its direction."""
        kernel = layer.weighted.weight
        out = replace(layer.node, weight=kernel).linear(layer.direction)
        if layer.normalisation is None:
            return out
        factor = self._factor(layer.normalisation)
        axis = 1 if isinstance(layer.node, Convolution) else out.ndim - 2
        return out * factor.reshape([1, *(-1 if k == axis else 1 for k in range(out.ndim - 1))])

    def _warm(self, steps: int) -> None:
        """Turn every direction towards that of largest gain."""
        for layer in self.layers.values():
            for _ in range(steps):
                own = layer.direction.detach().requires_grad_()
                layer.direction = own
                with torch.enable_grad():
                    out = self._gain(layer)
                    (back,) = torch.autograd.grad(out, own, out.detach())
                length = back.norm()
                layer.direction = (back / length.clamp(min=1e-30) if length > 0 else own).detach()
            layer.direction = layer.direction / layer.direction.norm().clamp(min=1e-30)


def margin_scores(logits: Tensor, labels: Tensor, constant: Tensor, radius: float) -> Tensor:
    """Logits of Lipschitz-margin training: all but the label's raised by ``√2 L radius`` (arXiv 1802.04034).

    Their cross entropy is small only where the label leads by so much, and then no input within ``radius`` (l2) has
    another class.

    Args:
        logits: (n, classes).
        labels: (n,).
        constant: L, the network's l2 constant, a scalar.
        radius: l2 distance in the units of the network's input.

    >>> margin_scores(torch.zeros(1, 3), torch.tensor([1]), torch.tensor(2.0), 0.5).double().numpy().round(4).tolist()
    [[1.4142, 0.0, 1.4142]]
    """
    others = 1.0 - nn.functional.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return logits + sqrt(2.0) * radius * constant * others
