"""Step ``train-small``: a narrower network trained from scratch, the control of pruning."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import Field

from bench.compression.base import Need, Step, StepContext, steps
from bench.compression.seeding import Seed, own_seed
from bench.errors import UserError
from bench.models.base import Model, models
from bench.networks.network import InputSpec, Network, TorchNetwork
from bench.outside_networks.records import source_of, source_record
from bench.registry import parameters
from bench.stats.streams import derive_seed

if TYPE_CHECKING:
    from torch import nn

WIDTHS = ("stem", "width", "widths", "hidden")  # parameters of an architecture that scale together
STEPS = 256  # at most so many factors are tried


class Scaled(NamedTuple):
    """An architecture, by which factor its widths were multiplied, and its multiply-accumulates."""

    model: Model
    factor: float
    macs: int


@steps.register("train-small")
@parameters
class TrainSmall(Step):
    """Train a narrower network of the reference's architecture from scratch, by the reference's recipe.

    All widths are multiplied by the factor whose multiply-accumulates come nearest to the target: a share ``macs`` of
    the reference's or, without one, those of the network that the steps before this one made. So
    ``[{ use = "structured-prune", ratio = 0.5 }, { use = "train-small" }]`` is the control of that pruning.
    """

    macs: Annotated[
        float | None,
        Field(gt=0, le=1, description="share of the reference's multiply-accumulates; none: match the input"),
    ] = None
    seed: Seed = 0

    version: ClassVar[int] = 2
    needs: ClassVar[frozenset[Need]] = frozenset({"train", "recipe"})
    refusal: ClassVar[dict[str, str]] = {
        "torch-quantised": "a quantised network has no recipe; train before quantising",
        "onnx": "an ONNX file cannot be trained; train before exporting",
        "onnx-quantised": "an ONNX file cannot be trained; train before exporting",
    }

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Find the width and train; raises ``UserError`` without a recipe, labels, or widths to scale."""
        from bench.functional.module_cost import parameter_count
        from bench.models.training import accuracy, initialise, train
        from bench.outside_networks.source import build_source

        assert isinstance(network, TorchNetwork)
        source = source_of(network.record)
        if context.recipe is None or source["source"] != "model":
            what = "train-small needs the recipe of a reference that is trained here"
            raise UserError.at("train-small", what, "name a model and a recipe in [reference]")
        original = counted(build_source(source, 0), network.input)
        wanted = counted(network.module, network.input)
        if self.macs is not None:
            wanted = round(self.macs * original)
        narrow = nearest_width(models.get(source["model"])(**source["parameters"]), network.input, wanted)
        seed = derive_seed("train-small", own_seed(context.seed, self.seed))
        fresh = initialise(narrow.model, network.input, seed)
        module = train(fresh, context.train, network.input, context.recipe, seed, context.progress)
        record = {
            "model": source_record(narrow.model, network.input),
            "factor": narrow.factor,
            "macs_wanted": wanted,
            "macs_before": original,
            "macs_after": narrow.macs,
            "macs_share": narrow.macs / original,
            "parameters_after": parameter_count(module),
            "train_accuracy_after": accuracy(module, context.train, network.input),
        }
        return TorchNetwork(module, network.input), record

    def rebuild(self, network: Network, record: dict[str, Any]) -> Network:
        """The narrower architecture, whatever came before it."""
        from bench.compression.restoring import rebuild_structure

        return TorchNetwork(rebuild_structure(record["model"]).module, network.input)


def counted(module: nn.Module, declared: InputSpec) -> int:
    """The multiply-accumulates of a network; ``UserError`` where they cannot be counted."""
    from bench.functional.module_cost import multiply_accumulates

    macs, reason = multiply_accumulates(module, declared.shape)
    if macs is None:
        what = f"multiply-accumulates cannot be counted: {reason}"
        raise UserError.at("train-small", what, "choose another architecture, or leave train-small out")
    return macs


def nearest_width(model: Model, declared: InputSpec, wanted: int) -> Scaled:
    """The architecture with its widths scaled by one factor of at most 1, nearest to so many multiply-accumulates.

    Factors are k / the largest width. Widths that the architecture refuses (heads that do not divide them) are passed
    over; of two as near the smaller is taken.

    Raises:
        UserError: the architecture has no width.

    >>> from bench.models.mlp import Mlp
    >>> declared = InputSpec((1, 2, 2), ("a", "b"))
    >>> nearest = nearest_width(Mlp(hidden=(10,)), declared, 31)  # 4 h + 2 h
    >>> nearest.model.hidden, nearest.factor, nearest.macs
    ((5,), 0.5, 30)
    """
    from bench.models.training import initialise

    names = [field.name for field in fields(model) if field.name in WIDTHS]  # type: ignore[arg-type]
    largest = max((size for name in names for size in _sizes(getattr(model, name))), default=0)
    if largest == 0:
        what = f"{model.name!r} has no width to scale"
        raise UserError.at("train-small", what, "choose an architecture with widths, or leave train-small out")
    tried: dict[Model, Scaled] = {}
    count = min(largest, STEPS)
    for number in range(1, count + 1):
        factor = number / count
        scaled = replace(model, **{name: _scale(getattr(model, name), factor) for name in names})  # type: ignore[type-var]
        if scaled not in tried:
            try:
                module = initialise(scaled, declared, 0)
            except UserError:
                continue
            tried[scaled] = Scaled(scaled, factor, counted(module, declared))
    return min(tried.values(), key=lambda each: (abs(each.macs - wanted), each.macs))


def _sizes(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _scale(value: int | tuple[int, ...], factor: float) -> int | tuple[int, ...]:
    """At least 1 each; halves go up."""
    scaled = tuple(max(1, int(size * factor + 0.5)) for size in _sizes(value))
    return scaled if isinstance(value, tuple) else scaled[0]
