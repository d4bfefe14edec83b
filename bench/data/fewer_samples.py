"""Another loader's data with fewer samples to train on."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from bench.data.base import Dataset, Loader, loaders
from bench.data.splitting import check_dataset, load_dataset, make_loader
from bench.errors import UserError
from bench.registry import parameters
from bench.stats.streams import generator


@loaders.register("fewer-samples")
@parameters
class FewerSamples(Loader):
    """The data of another loader with a random part of its training split; the other splits are as they were.

    A smaller part lies in every larger one of the same seed. What a network does not know for want of data falls with
    the number: so should the mutual information of ``uncertainty.members``.
    """

    of: Annotated[str, Field(description="a registered loader, or module:object")]
    train: Annotated[int, Field(ge=1, description="samples to train on")]
    options: Annotated[dict[str, Any] | None, Field(description="parameters of that loader")] = None
    seed: Annotated[int, Field(ge=0, description="which samples")] = 0

    def load(self, evaluation: int, calibration: int) -> Dataset:
        """The splits of that loader, the training split cut."""
        whole = load_dataset(make_loader(self.of, self.options, "data.of", "data.options"), evaluation, calibration)
        if self.train > len(whole.train):
            what = f"{self.train} samples to train on, {self.of!r} has {len(whole.train)}"
            raise UserError.at("data.train", what, f"give at most {len(whole.train)}")
        order = generator("fewer samples", self.seed).permutation(len(whole.train))
        part = whole.train.take(order[: self.train])
        return check_dataset(replace(whole, name=f"{whole.name}, {self.train} to train on", train=part))
