"""Another loader's data without some of its classes, which are then out of distribution."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from bench.data.base import Dataset, Loader, Samples, loaders
from bench.data.splitting import check_dataset, load_dataset, make_loader
from bench.errors import UserError
from bench.registry import nearest, parameters


@loaders.register("held-out-classes")
@parameters
class HeldOutClasses(Loader):
    """The data of another loader less some classes, in training, calibration and evaluation alike.

    The classes are evaluated on as out of distribution by ``[[ood]]`` with ``source = "other-data"``, the same loader
    and these classes. Splits are cut from somewhat larger ones of that loader; of its evaluation and calibration
    samples those beyond what is asked are left out.
    """

    of: Annotated[str, Field(description="a registered loader, or module:object")]
    held_out: Annotated[tuple[str, ...], Field(min_length=1, description="names of the classes to leave out")]
    options: Annotated[dict[str, Any] | None, Field(description="parameters of that loader")] = None

    def load(self, evaluation: int, calibration: int) -> Dataset:
        """The splits without those classes, and the other classes numbered in their order."""
        loader = make_loader(self.of, self.options, "data.of", "data.options")
        names = load_dataset(loader, evaluation, calibration).input.classes
        for name in self.held_out:
            if name not in names:
                raise UserError.at("data.held_out", f"no class {name!r}", nearest(name, names))
        kept = [index for index, name in enumerate(names) if name not in self.held_out]
        if not kept:
            raise UserError.at("data.held_out", "every class is left out", "keep some")
        more = [
            ceil(count * len(names) / len(kept)) + (len(names) if count else 0) for count in (evaluation, calibration)
        ]
        whole = load_dataset(loader, *more)
        if whole.evaluation.y is None:
            raise UserError.at("data.of", f"{self.of!r} has no labels", "name a loader with labels")
        return check_dataset(
            replace(
                whole,
                name=f"{whole.name} without {', '.join(self.held_out)}",
                input=replace(whole.input, classes=tuple(names[index] for index in kept)),
                train=_without(whole.train, kept),
                calibration=_first(_without(whole.calibration, kept), calibration, "calibration"),
                evaluation=_first(_without(whole.evaluation, kept), evaluation, "evaluation"),
            )
        )


def _without(samples: Samples, kept: list[int]) -> Samples:
    """The samples of the kept classes, numbered anew."""
    if samples.y is None:
        return samples
    part = samples.take(np.flatnonzero(np.isin(samples.y, kept)))
    assert part.y is not None
    return Samples(part.ids, part.x, np.searchsorted(kept, part.y).astype(np.int64))


def _first(samples: Samples, count: int, split: str) -> Samples:
    """The first samples of a split."""
    if len(samples) < count:
        what = f"{count} samples asked, {len(samples)} are left without those classes"
        raise UserError.at(f"data.{split}", what, "ask for fewer")
    return samples.take(slice(0, count))
