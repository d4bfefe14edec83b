"""Reference networks and training recipes by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from bench.errors import UserError
from bench.networks.network import InputSpec, spelled
from bench.registry import Registry, parameters

if TYPE_CHECKING:
    from torch import nn

Progress = Callable[[str], None]
Augmentation: TypeAlias = Literal["none", "shift", "flip-shift"]
Schedule: TypeAlias = Literal["one-cycle", "cosine", "constant"]  # of a learning rate


class Model(ABC):
    """An architecture: a frozen dataclass of parameters with one method."""

    name: ClassVar[str]
    vectors: ClassVar[bool] = False  # builds networks on vectors too

    def check(self, declared: InputSpec, where: str = "reference.model") -> None:
        """Raise ``UserError`` where the samples are no images and the architecture needs them."""
        if len(declared.shape) != 3 and not self.vectors:
            what = f"{self.name!r} takes images, the data are {spelled(declared.shape)}"
            raise UserError.at(where, what, 'give model = "mlp", or a factory of your own')

    @abstractmethod
    def build(self, declared: InputSpec) -> nn.Module:
        """The untrained module from preprocessed images to logits; initialised from torch's current generator."""


@parameters
class Recipe:
    """A recipe of training: AdamW with a one-cycle learning rate.

    Adversarial training is the fast one with a single step from a random start, Wong et al. 2020 (arXiv 2001.03994).
    Lipschitz-margin training raises the other classes' logits by ``√2 L radius`` (Tsuzuku et al., arXiv 1802.04034);
    the radius grows to its full size over the first half of the training.
    """

    epochs: Annotated[int, Field(ge=0, description="passes over the training split")] = 20
    batch: Annotated[int, Field(ge=1, description="samples a step")] = 64
    learning_rate: Annotated[float, Field(gt=0, description="peak of the cycle")] = 0.01
    weight_decay: Annotated[float, Field(ge=0, description="of AdamW")] = 0.01
    augmentation: Annotated[
        Augmentation, Field(description="shift by up to 2 pixels; with flip-shift also mirror half of the images")
    ] = "none"
    label_smoothing: Annotated[
        float, Field(ge=0, lt=1, description="share of each label that is spread over all classes")
    ] = 0.0
    adversarial_epsilon: Annotated[
        float, Field(ge=0, description="train on images attacked within this max-norm distance; 0: on clean ones")
    ] = 0.0
    threads: Annotated[int, Field(ge=1, description="of the training; the result's last bits depend on it")] = 1
    lipschitz_margin: Annotated[
        float, Field(ge=0, description="train for answers that no change within this l2 distance can turn; 0: do not")
    ] = 0.0

    def canonical(self) -> dict[str, Any]:
        """All parameters; without what came later and is not used, so that networks keep their keys."""
        named = {f.name: getattr(self, f.name) for f in fields(self)}
        if not self.lipschitz_margin:
            del named["lipschitz_margin"]
        return named


def check_recipe(recipe: Recipe, declared: InputSpec, where: str = "reference.recipe") -> None:
    """Raise ``UserError`` where a recipe moves pixels of samples that are no images."""
    if recipe.augmentation != "none" and len(declared.shape) != 3:
        what = f"{recipe.augmentation!r} moves pixels, the data are {spelled(declared.shape)}"
        raise UserError.at(f"{where}.augmentation", what, 'give augmentation = "none"')


HELPERS = ("augmentation", "batch_norm_statistics", "descent", "lipschitz_margin", "scaling", "single_step", "training")

models: Registry[type[Model]] = Registry("model", "bench.models", HELPERS)
