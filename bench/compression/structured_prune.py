"""Step ``structured-prune``: remove whole channels with torch-pruning."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import model_validator

from bench.compression.base import Need, Step, StepContext, steps
from bench.compression.batch_norm_reset import draw
from bench.compression.pruning.options import PruningOptions
from bench.compression.seeding import own_seed
from bench.errors import NotApplicable, UserError
from bench.networks.network import Network, TorchNetwork
from bench.registry import parameters


@steps.register("structured-prune")
@parameters
class StructuredPrune(PruningOptions, Step):
    """Remove the least important channels of every layer but the classifier; the layers really become smaller.

    Channels that belong together (through BatchNorm, sums, the next layer's input) go together, after Fang et al.,
    arXiv:2301.12900. Give ``ratio``, or ``macs``, or ``layers`` alone. A latency is no target: it is another one on
    another machine, and the same step would make another network.
    """

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
        from bench.models.batch_norm_statistics import batch_norms, estimate_again
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
