"""What every attribution probe shares: the class that is explained, and which maps mean nothing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.base import Samples
from bench.probes.base import Context, Observation, Probe
from bench.probes.gradient_view import View, dead_gradients, gradient_view
from bench.probes.logits import Logits, log_probabilities
from bench.registry import parameters
from bench.runtimes.base import Predictor

CONSTANT = 0.05  # share of maps that are constant from which on nothing is compared


@parameters
class ExplainedClass:
    """Which class a map explains: by its logit, less the mean of all logits."""

    explained: Annotated[
        Literal["reference", "own"],
        Field(description="the class that the reference gives, in every network; or the one that each network gives"),
    ] = "reference"


@parameters
class Attribution(ExplainedClass, Probe):
    """A probe whose answer is a map a sample: ``attribution`` (n, ...), in the shape of the input unless it says."""

    arrays: ClassVar[tuple[str, ...]] = ("attribution",)

    @property
    def needs(self) -> tuple[Probe, ...]:
        """The logits, where maps explain the reference's classes."""
        return (Logits(),) if self.explained == "reference" else ()

    def entries(self, inputs: int, classes: int) -> int:
        """The number of entries of one sample: those of a map."""
        return inputs

    def classes(self, predictor: Predictor, samples: Samples, context: Context) -> NDArray[np.int64]:
        """The explained class of each sample, (n,)."""
        own = self.explained == "own"
        classes = most_probable(log_probabilities(predictor, samples.x)) if own else classes_of_reference(context)
        assert len(classes) == len(samples)
        return classes

    def invalid(self, observation: Observation) -> str | None:
        """Why its maps mean nothing: dead gradients, or maps that are constant."""
        return dead_gradients(observation) or constant_maps(observation)


@parameters
class GradientAttribution(Attribution):
    """An attribution by gradients: a subclass writes ``attribute``."""

    gradients: ClassVar[bool] = True

    @abstractmethod
    def attribute(
        self, view: View, predictor: Predictor, samples: Samples, classes: NDArray[np.int64], context: Context
    ) -> tuple[Mapping[str, NDArray[Any]], dict[str, Any]]:
        """Its arrays, one row a sample, and what it notes of the network."""

    def ask(self, predictor: Predictor, samples: Samples, context: Context) -> Observation:
        """The maps (n, ...) of a network's differentiable view."""
        classes = self.classes(predictor, samples, context)
        with gradient_view(predictor, context) as view:
            if not view.alive:
                return view.nothing()
            arrays, notes = self.attribute(view, predictor, samples, classes, context)
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise FloatingPointError("the network gives NaN or infinite gradients")
        return Observation(arrays, {**view.notes(), **notes})


def classes_of_reference(context: Context) -> NDArray[np.int64]:
    """The class that the reference gives each sample, (n,): of a probe that needs its logits."""
    return most_probable(context.needed("logits")["log_probabilities"])


def most_probable(log_p: NDArray[Any]) -> NDArray[np.int64]:
    """The most probable class of each sample, (n,); ties go to the first."""
    return np.asarray(log_p.argmax(axis=1), dtype=np.int64)


def constant_maps(observation: Observation) -> str | None:
    """Why maps cannot be compared where too many have no two pixels that differ; else None."""
    maps = observation.arrays.get("attribution")
    if maps is None or not len(maps):
        return None
    share = float(np.mean([np.ptp(row) == 0 for row in maps]))
    if share <= CONSTANT:
        return None
    what = f"its maps are constant on {share:.1%} of {len(maps)} samples, at most {CONSTANT:.0%} may be"
    return f"{what}: there is nothing to compare"
