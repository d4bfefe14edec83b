"""One layer of the variant, computed as in the reference on the variant's own inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.engine.layer_culprits.channel_maps import ChannelMaps
from bench.engine.layer_culprits.runs import Part, Side, Values
from bench.errors import UserError
from bench.functional.layer_divergence import Moments, joined, moments

if TYPE_CHECKING:
    from bench.layer_matching import LayerGraph, LayerPair


class Impossible(Exception):
    """The layer cannot be restored, and why."""


@dataclass(frozen=True, eq=False)
class Matching:
    """Two graphs and which layers answer to which."""

    reference: LayerGraph
    variant: LayerGraph
    pairs: tuple[LayerPair, ...]

    @cached_property
    def to_variant(self) -> dict[int, int]:
        """Positions in the reference to positions in the variant; what reads the output reads the output."""
        positions = {p.reference: p.variant for p in self.pairs if p.reference is not None and p.variant is not None}
        return {**positions, -1: -1}

    @cached_property
    def to_reference(self) -> dict[int, int]:
        """Positions in the variant to positions in the reference: the inverse of ``to_variant``."""
        return {other: own for own, other in self.to_variant.items()}

    def exits(self, position: int) -> dict[str, str]:
        """The reference's value for each value that others read of the variant's layer, as far as they answer."""
        ours, theirs = self.reference.layers[position].exits, self.variant.layers[self.to_variant[position]].exits
        back = self.to_reference
        exits = {}
        for index, name in enumerate(theirs):
            readers = {back[reader] for reader in self.variant.readers[name] if reader in back}
            fitting = [own for own in ours if readers & self.reference.readers[own]]
            if len(fitting) == 1 or (fitting and len(ours) != len(theirs)):
                exits[name] = fitting[0]
            elif len(ours) == 1 or len(ours) == len(theirs):
                exits[name] = ours[0 if len(ours) == 1 else index]
        return exits

    def entries(self, position: int) -> dict[str, str]:
        """The variant's value for each value that the reference's layer reads; ``Impossible`` where there is none."""
        ours, theirs = self.reference.layers[position].entries, self.variant.layers[self.to_variant[position]].entries
        if len(ours) == len(theirs) == 1:
            return {ours[0]: theirs[0]}
        entries = {}
        for name in ours:
            maker = self.reference.owner[name]
            siblings = [own for own in ours if self.reference.owner[own] == maker]
            fitting = [v for v in theirs if self.variant.owner[v] == self.to_variant.get(maker)]
            if not fitting or (len(siblings) > 1 and len(fitting) != len(siblings)):
                layer = self.reference.layers[maker].name
                raise Impossible(f"it reads {layer!r} in the reference and not its counterpart in the variant")
            entries[name] = fitting[siblings.index(name)] if len(siblings) > 1 else fitting[0]
        return entries


@dataclass(frozen=True, eq=False)
class Alone:
    """One layer of the reference, to be run on what the variant's counterpart reads."""

    matching: Matching
    sides: tuple[Side, Side]
    entries: dict[str, str]  # the reference's values that it reads, and the variant's
    exits: dict[str, str]  # the variant's values that it makes, and the reference's
    run: Part

    @property
    def main(self) -> str:
        """The variant's value that the layer is compared by."""
        return list(self.exits)[-1]

    def made(self, part: slice, maps: ChannelMaps) -> Values:
        """The variant's values of one batch as the reference's layer makes them, on the reference's scale."""
        reference, variant = self.sides
        seen = variant.run(part)
        given = {}
        for own, other in self.entries.items():
            value = maps[other].back(seen[other]) if other in maps else seen[other]
            given[own] = _shaped(value, reference, own)
        values = self.run({self.matching.reference.input: reference.x[part], **given})
        return {other: _shaped(values[own], variant, other) for other, own in self.exits.items()}


class Layers:
    """The reference's layers alone, each made once."""

    def __init__(self, matching: Matching, sides: tuple[Side, Side]) -> None:
        self.matching, self.sides = matching, sides
        self._made: dict[int, Alone | Impossible] = {}

    def at(self, position: int) -> Alone:
        """The layer at a position of the reference.

        Raises:
            Impossible: the two layers do not read or make values of the same shapes, or it cannot run alone.
        """
        if position not in self._made:
            try:
                self._made[position] = self._alone(position)
            except Impossible as error:
                self._made[position] = error
        made = self._made[position]
        if isinstance(made, Impossible):
            raise made
        return made

    def _alone(self, position: int) -> Alone:
        reference, variant = self.sides
        entries, exits = self.matching.entries(position), _checked_exits(self.matching, position)
        for own, other in entries.items():
            _fit("reads", reference, own, variant, other)
        for other, own in exits.items():
            _fit("makes", reference, own, variant, other)
        try:
            return Alone(self.matching, self.sides, entries, exits, _layer(reference, entries, exits))
        except (RuntimeError, UserError) as error:
            raise _cannot_run(error) from error


class Restored(NamedTuple):
    """The network's output with one layer restored, and that layer's own error."""

    logits: NDArray[Any]
    added: Moments  # the reference's layer against the variant's, both on the variant's inputs


def restore(layers: Layers, position: int, parts: Sequence[slice], maps: ChannelMaps) -> Restored:
    """Run the variant with one layer's arithmetic replaced.

    The reference's layer computes on what the variant's layer reads, and the rest of the variant runs on what came
    out, handed on as it is: not rounded as the variant's layer would round it. Channels that the variant scales and
    shifts, and takes back behind, are led to the reference's scale and back.

    Raises:
        Impossible: the two layers do not read or make values of the same shapes.
    """
    alone, variant = layers.at(position), layers.sides[1]
    try:
        logits, added = [], []
        for part in parts:
            seen, made = variant.run(part), alone.made(part, maps)
            handed = {name: maps[name].forward(value) if name in maps else value for name, value in made.items()}
            logits.append(np.asarray(variant.with_values(part, handed), dtype=np.float64))
            own = seen[alone.main]
            added.append(moments(made[alone.main], maps[alone.main].back(own) if alone.main in maps else own))
    except (RuntimeError, UserError) as error:
        raise _cannot_run(error) from error
    return Restored(np.concatenate(logits), joined(added))


def _cannot_run(error: Exception) -> Impossible:
    return Impossible(f"ONNX Runtime cannot run the reference's layer in the variant: {error}")


def _checked_exits(matching: Matching, position: int) -> dict[str, str]:
    exits = matching.exits(position)
    left = [name for name in matching.variant.layers[matching.to_variant[position]].exits if name not in exits]
    if left or not exits:
        raise Impossible(f"nothing in the reference answers to its value {(left or ['?'])[0]!r}")
    return exits


def _fit(verb: str, reference: Side, own: str, variant: Side, other: str) -> None:
    ours, theirs = reference.kept[own], variant.kept[other]
    if not (ours.real and theirs.real):
        odd = other if ours.real else own
        raise Impossible(f"it {verb} integers whose scale is not known ({odd!r})")
    if without_ones(ours.shape) != without_ones(theirs.shape):
        raise Impossible(f"it {verb} shape {ours.shape} in the reference and {theirs.shape} in the variant")


def without_ones(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape less its axes of size 1, which move no value.

    >>> without_ones((10, 1, 1))
    (10,)
    """
    return tuple(size for size in shape if size != 1)


def _shaped(value: NDArray[Any], side: Side, name: str) -> NDArray[Any]:
    """A batch of values with the axes of size 1 that a network's own have."""
    return value.reshape(len(value), *side.kept[name].shape)


def _layer(reference: Side, entries: Mapping[str, str], exits: Mapping[str, str]) -> Part:
    """The reference's layer alone; sizes that it counts elsewhere come from the network's input."""
    try:
        return reference.part(entries, exits.values())
    except ValueError:
        return reference.part([reference.graph.input, *entries], exits.values())
