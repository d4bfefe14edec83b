"""The samples of another data set, or of some of its classes."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from bench.data.base import Dataset, Samples
from bench.data.sources.base import Source, sources
from bench.data.splitting import load_dataset, make_loader
from bench.errors import UserError
from bench.registry import nearest, parameters


@sources.register("other-data")
@parameters
class OtherData(Source):
    """The evaluation split of another loader; of some classes alone, where they are named.

    Held-out classes: the suite's data without them, and here the loader of the whole data with these classes.
    """

    loader: Annotated[str, Field(description="a registered loader, or module:object")]
    count: Annotated[int, Field(gt=0, description="samples to load; of named classes, those among them")]
    classes: Annotated[tuple[str, ...] | None, Field(min_length=1, description="names of classes; all by default")] = (
        None
    )
    options: Annotated[dict[str, Any] | None, Field(description="parameters of the loader")] = None

    def samples(self, dataset: Dataset, where: str) -> Samples:
        """The first samples of that loader's evaluation order."""
        loader = make_loader(self.loader, self.options, f"{where}.loader", f"{where}.options")
        try:
            other = load_dataset(loader, self.count, 0)
        except UserError as error:
            first = error.problems[0]
            path = first.where.removeprefix("data.")
            raise UserError.at(f"{where}: {self.loader}.{path}", first.what, first.right) from None
        samples = other.evaluation
        if self.classes is None:
            return samples
        unknown = [name for name in self.classes if name not in other.input.classes]
        if unknown:
            raise UserError.at(f"{where}.classes", f"no class {unknown[0]!r}", nearest(unknown[0], other.input.classes))
        if samples.y is None:
            raise UserError.at(f"{where}.classes", f"{self.loader!r} has no labels", "leave classes out")
        wanted = [other.input.classes.index(name) for name in self.classes]
        return samples.take(np.flatnonzero(np.isin(samples.y, wanted)))
