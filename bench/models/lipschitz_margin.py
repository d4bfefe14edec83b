"""Training for certified margins: answers that no small change of the input can turn."""

from __future__ import annotations

import torch
from torch import nn

from bench.errors import NotApplicable, UserError
from bench.functional.lipschitz.graph_bounds.trained_product import TrainedProduct, margin_scores
from bench.models.base import Recipe
from bench.networks.interface import to_network
from bench.networks.network import InputSpec
from bench.stats.streams import derive_seed

KEY = "recipe.lipschitz_margin"
GROWING = 0.5  # share of the steps in which the radius grows


class LipschitzMargin:
    """Raises the logits of all classes but the label's by what the network's constant allows within the radius."""

    def __init__(
        self, module: nn.Module, x: torch.Tensor, declared: InputSpec, recipe: Recipe, steps: int, seed: int
    ) -> None:
        """Follow the module in training; x (1, ...) in the user's bounds, ``steps`` of one epoch.

        Raises:
            UserError: the network puts out probabilities, takes whole pixels, or has a layer without a constant.
        """
        if declared.output != "logits" or declared.dtype == "uint8":
            what = "probabilities have no margin" if declared.output != "logits" else "whole-number pixels have none"
            raise UserError.at(KEY, what, "leave it out")
        try:
            self.product = TrainedProduct(module, to_network(x, declared), derive_seed("lipschitz-margin", seed))
        except NotApplicable as error:
            raise UserError.at(KEY, str(error), "leave it out, or choose another architecture") from error
        steepest = declared.scale / min(declared.std)  # of preprocessing
        self.radius = recipe.lipschitz_margin * steepest
        self.growing = max(1, round(GROWING * recipe.epochs * steps))
        self.done = 0

    def __call__(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The scores of one step."""
        self.done += 1
        return margin_scores(logits, y, self.product(), self.radius * min(1.0, self.done / self.growing))

    def close(self) -> None:
        """Leave the module as it was found."""
        self.product.close()
