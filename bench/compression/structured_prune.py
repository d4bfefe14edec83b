"""Step ``structured-prune``: remove whole channels with torch-pruning."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from bench.compression.base import Need, Step, StepContext, steps
from bench.compression.batch_norm_reset import batch_norms, draw, estimate_again
from bench.compression.pruning.options import Importance
from bench.compression.seeding import Seed, own_seed
from bench.errors import NotApplicable, UserError
from bench.networks.network import Network, TorchNetwork
from bench.registry import parameters

Share = Annotated[float, Field(ge=0, lt=1)]
Allocation = Literal["uniform", "sensitivity"]


@steps.register("structured-prune")
@parameters
class StructuredPrune(Step):
    """Remove the least important channels of every layer but the classifier; the layers really become smaller.

    Channels that belong together (through BatchNorm, sums, the next layer's input) go together, after Fang et al.,
    arXiv:2301.12900. Give ``ratio``, or ``macs``, or ``layers`` alone. A latency is no target: it is another one on
    another machine, and the same step would make another network.
    """

    ratio: Annotated[float | None, Field(gt=0, lt=1, description="share of channels to remove")] = None
    macs: Annotated[
        float | None, Field(gt=0, lt=1, description="share of multiply-accumulates that may stay, instead of ratio")
    ] = None
    layers: Annotated[
        dict[str, Share] | None,
        Field(description="ratios of single layers; 0 leaves one whole, layers that are tied share theirs"),
    ] = None
    importance: Annotated[
        Importance,
        Field(
            description="of a channel: norm of its own weights (l1, l2), of all coupled weights (group-norm), scale of "
            "its BatchNorm, first-order change of the loss (taylor), or chance"
        ),
    ] = "l2"
    global_pruning: Annotated[
        bool, Field(description="rank the channels of all layers together instead of layer by layer")
    ] = False
    allocation: Annotated[
        Allocation,
        Field(description="how macs is met: one ratio for all, or ratios of least damage on calibration samples"),
    ] = "uniform"
    round_to: Annotated[int, Field(ge=1, description="widths stay multiples of it, rounded up")] = 1
    rounds: Annotated[int, Field(ge=1, description="cuts of equal size, channels are scored anew before each")] = 1
    finetune_epochs: Annotated[int, Field(ge=0, description="training epochs between two rounds")] = 0
    finetune_learning_rate: Annotated[float, Field(gt=0, description="peak of the cycle between two rounds")] = 1e-3
    batch_norm_samples: Annotated[
        int, Field(ge=0, description="training images to estimate BatchNorm statistics again afterwards; 0: none")
    ] = 0
    taylor_samples: Annotated[int, Field(ge=1, description="labelled images for importance taylor")] = 256
    seed: Seed = 0

    version: ClassVar[int] = 3
    packages: ClassVar[tuple[str, ...]] = ("torch", "torch-pruning")
    needs: ClassVar[frozenset[Need]] = frozenset({"train", "calibration"})
    refusal: ClassVar[dict[str, str]] = {
        "torch-quantised": "quantised layers cannot be cut; prune before quantising",
        "onnx": "it cuts torch modules; prune before exporting",
        "onnx-quantised": "quantised layers cannot be cut; prune before quantising",
    }

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.ratio is not None and self.macs is not None:
            raise ValueError("give either ratio or macs")
        if self.ratio is None and self.macs is None and not any((self.layers or {}).values()):
            raise ValueError("give ratio, macs, or layers with a ratio above 0")
        if self.allocation == "sensitivity" and (self.macs is None or self.global_pruning):
            raise ValueError("allocation 'sensitivity' needs macs, and no global_pruning")
        if self.finetune_epochs and self.rounds == 1:
            raise ValueError("finetune_epochs trains between rounds; give rounds = 2 or more, or a finetune step")
        return self

    def uses(self) -> frozenset[Need]:
        """Data only where it is looked at."""
        used: set[Need] = set()
        if self.importance == "taylor":
            used |= {"train", "calibration"}
        if self.finetune_epochs or self.batch_norm_samples:
            used.add("train")
        if self.allocation == "sensitivity":
            used.add("calibration")
        return frozenset(used)

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Prune the network.

        Raises:
            NotApplicable: there is no channel to remove.
            UserError: an unknown layer, an importance that does not apply, or a target that cannot be met.
        """
        from bench.compression.pruning.graph import find_channels
        from bench.compression.pruning.plan import CutRules
        from bench.compression.pruning.rounds import cut_in_rounds, fixed_ratios, ratios_by_sensitivity, report
        from bench.networks.hooks import refuse_hooks

        assert isinstance(network, TorchNetwork)
        if self.batch_norm_samples and not batch_norms(network.module):
            raise UserError.at("structured-prune.batch_norm_samples", "the network has no BatchNorm", "leave it out")
        own = ((name, layer) for name, layer in network.module.named_modules() if list(layer.parameters(recurse=False)))
        refuse_hooks(own, "structured-prune would take for part of the layer")
        channels = find_channels(network.module, network.input)
        if not channels.groups:
            why = "; ".join(f"{layer}: {reason}" for layer, reason in channels.kept.items())
            raise NotApplicable(f"structured-prune found no channel that it may remove ({why})")
        rules = CutRules.of(channels.groups, self.round_to, fixed_ratios(self, channels))
        ratios: dict[str, float] = {}
        if self.allocation == "sensitivity":
            ratios = ratios_by_sensitivity(self, network, context, channels, rules)
            rules = CutRules(rules.groups, rules.initial, rules.grain, rules.fixed | ratios)
        module, history, rounds = cut_in_rounds(self, network, context, channels, rules)
        if not history:
            what = f"no layer loses a channel: too few for a ratio this small, or for round_to = {self.round_to}"
            raise UserError.at("structured-prune", what, "remove more, or round to less")
        if self.batch_norm_samples:
            seed = own_seed(context.seed, self.seed)
            module = estimate_again(module, draw(context.train, self.batch_norm_samples, seed), network.input)
        record = {"history": history, "rounds": rounds, **report(network, module), "kept": channels.kept}
        return TorchNetwork(module.eval(), network.input), record | ({"ratios": ratios} if ratios else {})

    def rebuild(self, network: Network, record: dict[str, Any]) -> Network:
        """Remove the same channels again, round by round."""
        from bench.compression.pruning.graph import replay

        assert isinstance(network, TorchNetwork)
        module, done = network.module, 0
        for cut in record["rounds"]:
            module = replay(module, network.input, record["history"][done : done + cut["groups"]])
            done += cut["groups"]
        return TorchNetwork(module, network.input)
