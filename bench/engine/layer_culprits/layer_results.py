"""The record of one layer: where it stands in both graphs, its error, and what restoring it removes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bench.engine.layer_culprits.channel_maps import ChannelMaps
from bench.engine.layer_culprits.observing import UNMATCHED, Observed, output_error
from bench.engine.layer_culprits.output_damage import OutputDamage
from bench.engine.layer_culprits.restoring import Impossible, Layers, Matching, restore
from bench.engine.layer_culprits.taken_apart import TakenApart
from bench.engine.layer_culprits.taken_back import TakenBack
from bench.results.layers import BothOperators, BothShapes, DividedOut, ErrorFigures, LayerResult, Restored

if TYPE_CHECKING:
    from bench.layer_matching import Layer


class Restoring(NamedTuple):
    """A layer's own error and what restoring it removes, or why that is not known."""

    added: ErrorFigures | None
    restored: Restored | None
    reason: str | None


def compared_layers(matching: Matching) -> list[int]:
    """Positions in the reference of the layers that compute anything.

    The input does not, unless something in the variant rounds or scales it.
    """

    def computes(position: int) -> bool:
        theirs = _counterpart(matching, position)
        return bool(matching.reference.layers[position].operators or (theirs and theirs.operators))

    return [position for position in range(len(matching.reference.layers)) if computes(position)]


def layer_result(
    matching: Matching, position: int, number: int, observed: Observed, taken: TakenBack, restoring: Restoring
) -> LayerResult:
    """The record of the reference's layer at a position.

    Args:
        matching: the layers of both graphs.
        position: of the layer in the reference's graph.
        number: of the layer among those that compute anything.
        observed: how far its output moved.
        taken: what of that the variant's next layers take back.
        restoring: what restoring it alone does.
    """
    ours, theirs = matching.reference.layers[position], _counterpart(matching, position)
    exits = {} if theirs is None else matching.exits(position)
    return LayerResult(
        **dict(observed.output),
        name=ours.name,
        position=number,
        kind=ours.kind,
        variant_name=None if theirs is None else theirs.name,
        operators=BothOperators(
            reference=list(ours.operators), variant=None if theirs is None else list(theirs.operators)
        ),
        weights=BothShapes(reference=_shape(ours), variant=_shape(theirs)),
        before_activation=observed.before_activation,
        not_finite=observed.not_finite,
        reason=observed.reason,
        divided_out=_divided_out(list(exits), taken.maps),
        unclear=not taken.unclear.isdisjoint(exits),
        added=restoring.added,
        restored=restoring.restored,
        restored_reason=restoring.reason,
    )


def restoring_of(
    layers: Layers, position: int, parts: Sequence[slice], maps: ChannelMaps, damage: OutputDamage, variant: TakenApart
) -> Restoring:
    """Restore the layer at a position of the reference, and see what the variant's outputs gain by it."""
    try:
        if position not in layers.matching.to_variant:
            raise Impossible(UNMATCHED)
        logits, added = restore(layers, position, parts, maps)
    except Impossible as error:
        return Restoring(None, None, str(error))
    own = ErrorFigures(**output_error(added).model_dump(exclude={"spread"})) if added.finite.any() else None
    return Restoring(own, damage.restored(variant.answers(logits)), None)


def _counterpart(matching: Matching, position: int) -> Layer | None:
    return matching.variant.layers[matching.to_variant[position]] if position in matching.to_variant else None


def _shape(layer: Layer | None) -> list[int] | None:
    return list(layer.shape) if layer and layer.shape else None


def _divided_out(exits: Sequence[str], maps: ChannelMaps) -> DividedOut | None:
    """The scaling of a layer's output that the variant's next layers take back; None where there is none."""
    mapped = [maps[name] for name in exits if name in maps]
    if not mapped:
        return None
    last = mapped[-1]
    scale, shift = ((float(v.min()), float(v.max())) for v in (last.scale, last.shift))
    return DividedOut(channels=last.moved, of=len(last.scale), scale=scale, shift=shift)
