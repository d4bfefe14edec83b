"""Step ``structured-prune``: remove whole channels with torch-pruning."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from bench.compression.base import Need, Step, StepContext, steps
from bench.compression.batch_norm_reset import batch_norms, draw, estimate_again
from bench.compression.pruning.options import Importance
from bench.compression.seeding import Seed, own_seed
from bench.errors import NotApplicable, UserError
from bench.models.base import Recipe
from bench.networks.network import InputSpec, Network, TorchNetwork
from bench.registry import nearest, parameters
from bench.stats.streams import derive_seed

if TYPE_CHECKING:
    from torch import nn

    from bench.compression.pruning.graph import Channels, History
    from bench.compression.pruning.plan import CutRules, UnitsKept
    from bench.data.base import Samples

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
        """Prune.

        Raises:
            NotApplicable: there is no channel to remove.
            UserError: an unknown layer, an importance that does not apply, or a target that cannot be met.
        """
        from bench.compression.pruning.graph import find_channels
        from bench.compression.pruning.plan import CutRules
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
        rules = CutRules.of(channels.groups, self.round_to, self._fixed(channels))
        ratios: dict[str, float] = {}
        if self.allocation == "sensitivity":
            ratios = self._by_sensitivity(network, context, channels, rules)
            rules = CutRules(rules.groups, rules.initial, rules.grain, rules.fixed | ratios)
        module, history, rounds = self._cut(network, context, channels, rules)
        if not history:
            what = f"no layer loses a channel: too few for a ratio this small, or for round_to = {self.round_to}"
            raise UserError.at("structured-prune", what, "remove more, or round to less")
        if self.batch_norm_samples:
            seed = own_seed(context.seed, self.seed)
            module = estimate_again(module, draw(context.train, self.batch_norm_samples, seed), network.input)
        record = {"history": history, "rounds": rounds, **_report(network, module), "kept": channels.kept}
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

    def _fixed(self, channels: Channels) -> dict[str, float]:
        """The ratio of each group that has one of its own, by group."""
        group_of = {maker: group.name for group in channels.groups for maker in group.makers}
        fixed: dict[str, float] = {}
        for layer, ratio in (self.layers or {}).items():
            where = f"layers.{layer}"
            if layer in channels.kept and ratio > 0:
                raise UserError.at(where, f"{layer!r} cannot be pruned: {channels.kept[layer]}", "leave it out")
            if layer not in group_of and layer not in channels.kept:
                raise UserError.at(where, f"no layer {layer!r}", nearest(layer, group_of))
            if layer in group_of:
                name = group_of[layer]
                if fixed.setdefault(name, ratio) != ratio:
                    makers = ", ".join(next(group.makers for group in channels.groups if group.name == name))
                    raise UserError.at(where, f"{makers} share their channels", "give them one ratio")
        if self.ratio is None and self.macs is None:
            fixed |= {group.name: 0.0 for group in channels.groups if group.name not in fixed}
        return fixed

    def _original(self, network: TorchNetwork) -> int:
        """Multiply-accumulates before any cut; 0 where they cannot be counted and are no target."""
        from bench.functional.module_cost import multiply_accumulates

        macs, reason = multiply_accumulates(network.module, network.input.network_shape)
        if macs is None and self.macs is not None:
            what = f"the network's multiply-accumulates cannot be counted: {reason}"
            raise UserError.at("structured-prune", what, "give ratio instead of macs")
        return macs or 0

    def _cut(
        self, network: TorchNetwork, context: StepContext, channels: Channels, rules: CutRules
    ) -> tuple[nn.Module, History, list[dict[str, Any]]]:
        """All rounds; the module, its whole history, and how many groups each round cut."""
        from bench.compression.pruning.graph import find_channels, remove
        from bench.functional.module_cost import multiply_accumulates

        module = copy.deepcopy(network.module)
        original = self._original(network)
        history: History = []
        rounds: list[dict[str, Any]] = []
        groups = channels.groups
        for number in range(1, self.rounds + 1):
            if number > 1:
                module = self._between(module, network.input, context, number)
                groups = find_channels(module, network.input, channels.kept).groups
            now = rules.at(groups, number / self.rounds)
            seed = derive_seed("round", own_seed(context.seed, self.seed), number)
            kept, chosen = self._choose(module, network.input, now, original, number / self.rounds, context, seed)
            module, cut = remove(module, network.input, groups, chosen)
            history += cut
            macs = multiply_accumulates(module, network.input.network_shape).macs
            rounds.append({"groups": len(cut), "macs": macs})
            context.progress(f"round {number}/{self.rounds}: {sum(kept.values())} channels kept")
        if self.macs is not None and rounds[-1]["macs"] > self.macs * original:
            raise RuntimeError(
                f"{rounds[-1]['macs']} of {original} multiply-accumulates remain: the cost model is wrong"
            )
        return module, history, rounds

    def _choose(
        self,
        module: nn.Module,
        declared: InputSpec,
        now: CutRules,
        original: int,
        progress: float,
        context: StepContext,
        seed: int,
    ) -> tuple[UnitsKept, dict[str, list[int]]]:
        """Units that stay, and which go, in one round."""
        from bench.compression.pruning.importance import score_units
        from bench.compression.pruning.plan import cost_of, global_plan, local_plan, meet_budget, weakest

        pruned = tuple(group for group in now.groups if now.fixed.get(group.name) != 0)
        scores = score_units(module, pruned, self.importance, declared, self._labelled(context), seed)

        def plan(ratio: float) -> UnitsKept:
            return global_plan(now, scores, ratio) if self.global_pruning else local_plan(now, ratio)

        if self.macs is None or self.allocation == "sensitivity":
            kept = plan((self.ratio or 0.0) * progress)
        else:
            budget = original * (1 - (1 - self.macs) * progress)
            kept = meet_budget(plan, cost_of(module, declared, now.groups), budget, original)
        return kept, weakest(scores, pruned, kept)

    def _between(self, module: nn.Module, declared: InputSpec, context: StepContext, number: int) -> nn.Module:
        from bench.models.training import train

        if not self.finetune_epochs:
            return module
        recipe = Recipe(epochs=self.finetune_epochs, learning_rate=self.finetune_learning_rate)
        seed = derive_seed("between", own_seed(context.seed, self.seed), number)
        return train(module, context.train, declared, recipe, seed, context.progress)

    def _by_sensitivity(
        self, network: TorchNetwork, context: StepContext, channels: Channels, rules: CutRules
    ) -> dict[str, float]:
        """A ratio a group that meets the budget at little damage on the calibration samples."""
        from bench.compression.pruning.graph import Channels
        from bench.compression.pruning.importance import score_units
        from bench.compression.pruning.plan import cost_of, least_damage
        from bench.compression.pruning.sensitivity import scan

        assert self.macs is not None
        if len(context.calibration) == 0:
            raise UserError.at("data.calibration", "sensitivity is measured on it, it is empty", "give 1 or more")
        free = Channels(tuple(g for g in channels.groups if g.name not in rules.fixed), channels.kept)
        seed = own_seed(context.seed, self.seed)
        scores = score_units(network.module, free.groups, self.importance, network.input, self._labelled(context), seed)
        context.progress("measuring what each layer's pruning alone does")
        curves = scan(network, free, scores, context.calibration)
        cost = cost_of(network.module, network.input, channels.groups)
        original = cost.macs({})
        chosen = least_damage(rules, curves, cost, original * self.macs, original)
        return {name: ratio for name, ratio in chosen.items() if name not in rules.fixed}

    def _labelled(self, context: StepContext) -> Samples | None:
        """What importance taylor looks at: training samples with labels, else calibration samples."""
        if self.importance != "taylor":
            return None
        for part in (context.train, context.calibration):
            if len(part) > 1 and part.y is not None:
                return draw(part, self.taylor_samples, own_seed(context.seed, self.seed))
        return None


def _report(before: TorchNetwork, after: nn.Module) -> dict[str, Any]:
    """Multiply-accumulates, parameters and widths before and after the cut."""
    from bench.compression.pruning.graph import widths
    from bench.functional.module_cost import multiply_accumulates, parameter_count

    shape = before.input.network_shape
    macs_before, macs_after = (multiply_accumulates(module, shape).macs for module in (before.module, after))
    return {
        "parameters_before": parameter_count(before.module),
        "parameters_after": parameter_count(after),
        "macs_before": macs_before,
        "macs_after": macs_after,
        "macs_share": macs_after / macs_before if macs_before and macs_after is not None else None,
        "widths_before": widths(before.module),
        "widths": widths(after),
    }
