"""The linear pieces of a piecewise linear network on a segment: every kink between two inputs, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from bench.errors import NotApplicable
from bench.functional.input_gradients import centred_logit

LINEAR: Final = frozenset(
    (
        "_adaptive_avg_pool2d",
        "_native_batch_norm_legit_no_training",
        "_to_copy",
        "_unsafe_view",
        "add",
        "addmm",
        "alias",
        "avg_pool2d",
        "bmm",
        "cat",
        "clone",
        "constant_pad_nd",
        "contiguous",
        "convolution",
        "detach",
        "div",
        "expand",
        "flatten",
        "mean",
        "mm",
        "mul",
        "mv",
        "native_batch_norm",
        "neg",
        "permute",
        "reshape",
        "rsub",
        "select",
        "slice",
        "split",
        "squeeze",
        "stack",
        "sub",
        "sum",
        "t",
        "transpose",
        "unsqueeze",
        "view",
    )
)
"""Operations that keep a network linear where all but one of their operands are constants."""
PRODUCTS: Final = frozenset({"mul", "bmm", "mm", "mv", "addmm", "div", "convolution"})
"""Operations that do so only where one factor is a constant."""
CLOSEST: Final = 1e-11  # of the segment: kinks that are nearer to each other are one


class _Kinks(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects what a network compares with its kinks: each (n, units), affine between two kinks."""

    def __init__(self, x: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.n = len(x)
        self.alive: dict[int, torch.Tensor] = {id(x): x}  # what depends on the input; kept, so that no id returns
        self.distances: list[torch.Tensor] = []
        self.choices: list[torch.Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        operands = [item for item in _tensors(args) if id(item) in self.alive]
        if operands:
            self._see(func.overloadpacket.__name__.rstrip("_"), operands, args, out)
            for item in _tensors((out,)):
                self.alive[id(item)] = item
        return out

    def _see(self, name: str, operands: list[torch.Tensor], args: Any, out: Any) -> None:
        x = args[0]
        if name in ("relu", "leaky_relu", "threshold", "abs"):
            self._kink(x - (args[1] if name == "threshold" else 0.0))
        elif name in ("hardtanh", "clamp", "clamp_min", "clamp_max"):
            limits = args[1:3] if name != "hardtanh" else (args[1:3] or (-1.0, 1.0))
            for limit in limits:
                if limit is not None:
                    self._kink(x - limit)
        elif name == "max_pool2d_with_indices":
            self._pool(x, args, out)
        elif name in LINEAR:
            if name in PRODUCTS and (len(operands) > 1 or (name == "div" and id(args[1]) in self.alive)):
                raise NotApplicable(f"no piecewise linear network: {name!r} multiplies two figures of the input")
        else:
            raise NotApplicable(f"no piecewise linear network: it computes {name!r}")

    def _kink(self, values: torch.Tensor) -> None:
        self.distances.append(values.detach().reshape(self.n, -1))

    def _pool(self, x: torch.Tensor, args: Any, out: Any) -> None:
        kernel = args[1]
        given: dict[int, Any] = dict(enumerate(args))
        if given.get(5, False):
            raise NotApplicable("max pooling with rounded-up shapes has no enumeration of its kinks")
        stride, padding, dilation = given.get(2) or kernel, given.get(3, [0, 0]), given.get(4, [1, 1])
        high, wide = list(padding) * (2 // len(padding))
        padded = nn.functional.pad(x, (wide, wide, high, high), value=-1e30)
        windows = nn.functional.unfold(padded, tuple(kernel), tuple(dilation), 0, tuple(stride))
        windows = windows.reshape(self.n, x.shape[1], -1, windows.shape[-1])
        self._kink(out[0].reshape(self.n, x.shape[1], 1, -1) - windows)
        self.choices.append(out[1].reshape(self.n, -1))


def _tensors(items: Any) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    for item in items:
        if isinstance(item, torch.Tensor):
            found.append(item)
        elif isinstance(item, list | tuple):
            found += _tensors(item)
    return found


class Difference(NamedTuple):
    """Two networks on segments from baselines to samples, h = f − g of the centred logit of a class."""

    attribution: torch.Tensor  # exact integrated gradients of h, (n, ...) float64
    change: torch.Tensor  # h(x) − h(x'), (n,)
    steepest: torch.Tensor  # largest ‖∇h‖₂ of any piece, (n,)
    pieces: torch.Tensor  # linear pieces, (n,) int64


def difference_along_segments(
    f: nn.Module, g: nn.Module, x: torch.Tensor, baseline: torch.Tensor, target: torch.Tensor, most: int = 10_000
) -> Difference:
    """Every linear piece of f − g between baselines and samples, and what follows of it.

    Between two kinks all figures that meet a kink are affine in the place on the segment: two looks inside one piece
    give their slopes, the first that reaches its kink ends the piece (after Sotoudeh and Thakur 2019, arXiv
    1908.06214).
    A region of one activation pattern is convex, so two looks of one pattern are in one piece. By the definition of
    integrated gradients, with h = f − g:

    ``|h(x) − h(x')| ≤ ‖ΔIG‖₁`` and ``‖ΔIG‖₂ ≤ ‖x − x'‖_∞ · sup ‖∇h‖₂`` over the segment.

    Exact but for the rounding of float64; kinks nearer than 1e-11 of the segment count as one. The sum of attributions
    is checked against the change, to 1e-6 of their size and 1e-10 of the largest logit.

    Args:
        f: inputs (n, ...) to logits (n, classes), in float64, each sample alone.
        g: the other network.
        x: samples (n, ...), float64.
        baseline: x', broadcast over x.
        target: the class of each sample, int64 (n,).
        most: pieces of one segment.

    Raises:
        NotApplicable: a network is not piecewise linear, or a segment has more pieces.

    >>> relu, zero = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU()).double(), nn.Linear(1, 2).double()
    >>> with torch.no_grad():
    ...     _ = relu[0].weight.copy_(torch.tensor([[2.0], [0.0]])), zero.weight.zero_(), zero.bias.zero_()
    >>> x, start = torch.tensor([[3.0]]).double(), torch.tensor([[-1.0]]).double()
    >>> found = difference_along_segments(relu, zero, x, start, torch.tensor([0]))  # max(x, 0): slope 0, then 1
    >>> found.attribution.round(decimals=6).tolist(), found.steepest.tolist(), found.pieces.tolist()
    ([[3.0]], [1.0], [2])
    """
    start = baseline.expand_as(x).double()
    segment = x.double() - start
    place, step = torch.zeros(len(x), dtype=torch.float64), torch.full((len(x),), 1e-3, dtype=torch.float64)
    total, steepest = torch.zeros_like(segment), torch.zeros(len(x), dtype=torch.float64)
    pieces = torch.zeros(len(x), dtype=torch.int64)

    def at(rows: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        return start[rows] + where.reshape(-1, *[1] * (x.ndim - 1)) * segment[rows]

    left = torch.arange(len(x))
    while len(left):
        inside = (place[left] + CLOSEST).clamp(max=1.0)
        ahead = (inside + step[left]).clamp(max=1.0)
        here = _look((f, g), at(left, inside), target[left])
        there = _look((f, g), at(left, ahead), None)
        same = ((here.distances > 0) == (there.distances > 0)).all(dim=1) & (here.choices == there.choices).all(dim=1)
        forced = step[left] <= CLOSEST  # nearer kinks than can be told apart
        end = torch.where(same, _next_kink(here.distances, there.distances, inside, ahead), ahead)
        done = same | forced
        rows, until = left[done], end[done]
        length = until - place[rows]
        total[rows] += length.reshape(-1, *[1] * (x.ndim - 1)) * here.gradient[done]
        steepest[rows] = torch.maximum(steepest[rows], here.gradient[done].flatten(1).norm(dim=1))
        pieces[rows] += 1
        place[rows] = until
        step[rows] = (length / 4).clamp(min=CLOSEST)
        step[left[~done]] = (step[left[~done]] / 8).clamp(min=CLOSEST)
        if int(pieces.max()) > most:
            raise NotApplicable(f"more than {most} linear pieces between baseline and sample; the network is too large")
        left = left[place[left] < 1.0 - CLOSEST]
    with torch.no_grad():
        change = _difference((f, g), start + segment, target) - _difference((f, g), start, target)
        largest = torch.stack([module(start + segment).abs().amax(dim=1) for module in (f, g)]).amax(dim=0)
    attribution = segment * total
    size = attribution.flatten(1).abs().sum(dim=1) + change.abs()
    missed = (attribution.flatten(1).sum(dim=1) - change).abs()
    if bool((missed > 1e-6 * size + 1e-10 * largest).any()):
        raise NotApplicable("no piecewise linear network: its pieces do not add up to its change")
    return Difference(attribution, change, steepest, pieces)


class _Look(NamedTuple):
    distances: torch.Tensor
    choices: torch.Tensor
    gradient: torch.Tensor


def _difference(modules: Sequence[nn.Module], x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = modules[0](x) - modules[1](x)
    return centred_logit(logits, target)


def _look(modules: Sequence[nn.Module], x: torch.Tensor, target: torch.Tensor | None) -> _Look:
    """Distances from every kink, the choices of poolings, and the gradient of h where a class is given."""
    point = x.detach().requires_grad_(target is not None)
    with torch.set_grad_enabled(target is not None), _Kinks(point) as seen:
        logits = [module(point) for module in modules]
    gradient = torch.zeros_like(x)
    if target is not None:
        value = centred_logit(logits[0] - logits[1], target)
        if value.requires_grad:
            gradient = torch.autograd.grad(value.sum(), point)[0]
    n = len(x)
    distances = torch.cat([torch.zeros(n, 1, dtype=torch.float64), *(each.double() for each in seen.distances)], dim=1)
    choices = torch.cat([torch.zeros(n, 1, dtype=torch.int64), *seen.choices], dim=1)
    return _Look(distances, choices, gradient)


def _next_kink(here: torch.Tensor, there: torch.Tensor, inside: torch.Tensor, ahead: torch.Tensor) -> torch.Tensor:
    """Where the first distance reaches zero, in [ahead, 1]; both looks are in one piece."""
    width = (ahead - inside).clamp(min=1e-300)[:, None]
    slope = (there - here) / width
    reached = inside[:, None] - here / slope
    towards = (here * slope < 0) & reached.isfinite()
    first = torch.where(towards, reached, torch.ones_like(reached)).min(dim=1).values
    return torch.maximum(first, ahead).clamp(max=1.0)
