"""Step ``retrain``: the same structure and recipe from another seed, as a control."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from bench.compression.base import Need, Step, StepContext, steps
from bench.compression.seeding import Seed, own_seed
from bench.errors import UserError
from bench.networks.network import Network, TorchNetwork
from bench.outside_networks.records import source_of
from bench.registry import parameters
from bench.stats.streams import derive_seed

if TYPE_CHECKING:
    from torch import nn

    from bench.models.base import Recipe
    from bench.uncertainty.base import Method


@steps.register("retrain")
@parameters
class Retrain(Step):
    """Initialise the same structure from another seed and train it by the reference's recipe.

    What comes out is another, equally good network: a variant that is as far from the reference has kept nothing of
    its function but the accuracy. With ``lipschitz_margin`` the recipe's own is replaced: the same network, trained for
    certified radii (arXiv 1802.04034).
    """

    lipschitz_margin: Annotated[
        float | None, Field(ge=0, description="the recipe's lipschitz_margin, where it is to be another")
    ] = None
    seed: Seed = 0

    needs: ClassVar[frozenset[Need]] = frozenset({"train", "recipe"})
    control: ClassVar[bool] = True
    refusal: ClassVar[dict[str, str]] = {
        "torch-quantised": "a quantised structure has no initialisation; retrain before quantising",
        "onnx": "an ONNX file cannot be trained; retrain before exporting",
        "onnx-quantised": "an ONNX file cannot be trained; retrain before exporting",
    }

    def canonical(self) -> dict[str, Any]:
        """Name, version and parameters; without what came later and is not used, so that networks keep their keys."""
        named = super().canonical()
        if self.lipschitz_margin is None:
            del named["parameters"]["lipschitz_margin"]
        return named

    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Train from scratch; raises ``UserError`` where there is no recipe, no labelled data or no architecture."""
        from bench.compression.restoring import rebuild_structure
        from bench.models.training import accuracy, train
        from bench.outside_networks.source import method_of

        assert isinstance(network, TorchNetwork)
        if context.recipe is None or source_of(network.record)["source"] != "model":
            what = "retrain needs the recipe of a reference that is trained here"
            raise UserError.at("retrain", what, "name a model and a recipe in [reference]")
        seed = derive_seed("retrain", own_seed(context.seed, self.seed))
        recipe = context.recipe
        if self.lipschitz_margin is not None:
            recipe = replace(recipe, lipschitz_margin=self.lipschitz_margin)
        method = method_of(source_of(network.record))
        if method is not None:
            module = self._by_method(method, network, context, recipe, seed)
        else:
            fresh = rebuild_structure(network.record, seed).module
            module = train(fresh, context.train, network.input, recipe, seed, context.progress)
        record = {"train_accuracy_after": accuracy(module, context.train, network.input)}
        return TorchNetwork(module, network.input), record

    @staticmethod
    def _by_method(method: Method, network: TorchNetwork, context: StepContext, recipe: Recipe, seed: int) -> nn.Module:
        """The members made anew by the method that made them; ``UserError`` after another step."""
        from bench.outside_networks.source import architecture_of

        made = network.record
        if "source" not in made:
            what = f"the members were made by {method.name}, and {made['step']} changed them since"
            raise UserError.at("retrain", what, "retrain first, or leave it out")
        declared, model = network.input.one_member, architecture_of(made)
        return method.train(model, context.train, declared, recipe, seed, context.progress)

    def rebuild(self, network: Network, record: dict[str, Any]) -> Network:
        """The structure is the source's."""
        assert isinstance(network, TorchNetwork)
        return TorchNetwork(copy.deepcopy(network.module), network.input)
