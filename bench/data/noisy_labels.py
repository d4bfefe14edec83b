"""Another loader's data with some of its labels wrong: how much uncertainty there is then is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from bench.data.base import Dataset, Loader, Samples, loaders
from bench.data.splitting import check_dataset, load_dataset, make_loader
from bench.errors import UserError
from bench.functional.members.label_noise import noisy_labels
from bench.registry import parameters


@loaders.register("noisy-labels")
@parameters
class NoisyLabels(Loader):
    """The data of another loader with symmetric label noise, in training, calibration and evaluation alike.

    Each label is wrong with probability ``rate``, then any of the wrong classes alike; a sample's label depends on its
    id, the seed and its clean label alone. Where images tell their clean class, no network has less uncertainty than
    ``bench.functional.members.label_noise.noise_entropy`` says: .545, .940, 1.552 nats at rates .1, .2, .4 with ten
    classes. The expected entropy of ``uncertainty.members`` is compared with it.
    """

    of: Annotated[str, Field(description="a registered loader, or module:object")]
    rate: Annotated[float, Field(ge=0, lt=1, description="share of labels that are wrong; at most (C - 1) / C")]
    options: Annotated[dict[str, Any] | None, Field(description="parameters of that loader")] = None
    seed: Annotated[int, Field(ge=0, description="which labels are wrong, and how")] = 0

    def load(self, evaluation: int, calibration: int) -> Dataset:
        """The splits of that loader with noisy labels."""
        whole = load_dataset(make_loader(self.of, self.options, "data.of", "data.options"), evaluation, calibration)
        if whole.evaluation.y is None:
            raise UserError.at("data.of", f"{self.of!r} has no labels", "name a loader with labels")
        classes = len(whole.input.classes)
        most = (classes - 1) / classes
        if self.rate > most:
            what = f"{self.rate:g} is more than {most:g}, at which labels of {classes} classes say nothing"
            raise UserError.at("data.rate", what, "give less")
        return check_dataset(
            replace(
                whole,
                name=f"{whole.name}, {self.rate:.0%} of labels wrong",
                train=self._noisy(whole.train, classes),
                calibration=self._noisy(whole.calibration, classes),
                evaluation=self._noisy(whole.evaluation, classes),
            )
        )

    def _noisy(self, samples: Samples, classes: int) -> Samples:
        if samples.y is None:
            return samples
        return Samples(samples.ids, samples.x, noisy_labels(samples.y, classes, self.rate, samples.ids, self.seed))
