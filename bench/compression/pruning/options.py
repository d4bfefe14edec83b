"""The options of structured pruning."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bench.compression.seeding import Seed
from bench.registry import parameters

Share = Annotated[float, Field(ge=0, lt=1)]
Allocation = Literal["uniform", "sensitivity"]
Importance = Literal["l1", "l2", "group-norm", "bn-scale", "taylor", "random"]
"""Of a channel: norm of its own weights, of all coupled weights, BatchNorm's scale, first-order loss change, chance."""


@parameters
class PruningOptions:
    """What goes, how it is chosen, and in how many rounds."""

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
