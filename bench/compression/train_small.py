"""Step ``train-small``: a narrower network trained from scratch, the control of pruning."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from bench.compression.base import Need, Step, StepContext, steps
from bench.compression.seeding import Seed, own_seed
from bench.errors import UserError
from bench.networks.network import Network, TorchNetwork
from bench.outside_networks.records import source_of, source_record
from bench.registry import parameters
from bench.stats.streams import derive_seed


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
    control: ClassVar[bool] = True
    refusal: ClassVar[dict[str, str]] = {
        "torch-quantised": "a quantised network has no recipe; train before quantising",
        "onnx": "an ONNX file cannot be trained; train before exporting",
        "onnx-quantised": "an ONNX file cannot be trained; train before exporting",
    }

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Find the width and train; raises ``UserError`` without a recipe, labels, or widths to scale."""
        from bench.functional.module_cost import parameter_count
        from bench.models.scaling import counted, nearest_width
        from bench.models.training import accuracy, initialise, train
        from bench.outside_networks.source import architecture_of, build_source

        assert isinstance(network, TorchNetwork)
        source = source_of(network.record)
        if context.recipe is None or source["source"] != "model":
            what = "train-small needs the recipe of a reference that is trained here"
            raise UserError.at("train-small", what, "name a model and a recipe in [reference]")
        if "method" in source:
            what = f"the members were made by {source['method']['method']}, which it would not train"
            raise UserError.at("train-small", what, 'give the reference the method deep-ensemble with equal = "macs"')
        original = counted(build_source(source, 0), network.input, "train-small")
        wanted = counted(network.module, network.input, "train-small")
        if self.macs is not None:
            wanted = round(self.macs * original)
        narrow = nearest_width(architecture_of(source), network.input, wanted, "train-small")
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
