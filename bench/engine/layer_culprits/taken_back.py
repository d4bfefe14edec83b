"""Channels that the variant scales or shifts and takes back in its next layers: found layer by layer, both ways.

Equalised channels and BatchNorm folded forward leave the function as it is and make every value between another one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.engine.layer_culprits.channel_maps import EXACT, ChannelMap, ChannelMaps, Fit, fit
from bench.engine.layer_culprits.reader_weights import (
    NEAR,
    WeightPair,
    followed_by,
    log_size,
    shift_undone_by,
    spread,
    undone_by,
)
from bench.engine.layer_culprits.restoring import Alone, Impossible, Layers
from bench.functional.layer_divergence import joined, moments, pooled
from bench.layer_matching import OUTPUT

SAMPLES = 64  # so many are looked at
NEARER = 2.0  # how many times a map must lower the readers' error
SURELY = 10.0  # ... one that a reader's weights show, below that of one that the layer itself shows
SAME = 1e-10  # relative squared error of a layer that computes as the reference's does: float arithmetic
EXACTER = 100.0  # how many times smaller the 1 - r^2 of a reader's map must be to overrule that of the layer itself
UNCLEAR = 1e-2  # relative squared error of readers that rounding to 8 bits does not explain
ROUNDS = 3


class TakenBack(NamedTuple):
    """Maps by the variant's value, and the values of which it cannot be told."""

    maps: dict[str, ChannelMap]
    unclear: frozenset[str]  # neither the layer before nor the layers behind compute as in the reference, with any map


def taken_back(layers: Layers, parts: Sequence[slice]) -> TakenBack:
    """The maps of the variant's values that are no layer's fault.

    Forward, each value of the variant is fitted by what the reference's layer makes of the variant's own inputs, led
    back to the reference's scale: so no fault further up disturbs the fit. Backward, a map stays where the layers that
    read the value undo it: where the reference's layers come nearer to the variant's on the value led back than on the
    value as it is, or, where such a layer is itself too far off to tell, where the sizes of its weights follow the map.
    Else the map is a fault of the layer that makes the value. Channels that this layer does not explain, since it may
    be the faulty one, get the map that the weights of a reader undo exactly.
    """
    search = _Search(layers, [part for part in parts if part.start < SAMPLES])
    maps: dict[str, ChannelMap] = {}
    for number in range(ROUNDS):
        better = search.backward(search.forward(maps, follow=number == 0))
        if _equal(better, maps):
            break
        maps = better
    return TakenBack(maps, frozenset(search.unclear))


def _equal(one: ChannelMaps, other: ChannelMaps) -> bool:
    def same(a: ChannelMap, b: ChannelMap) -> bool:
        return a.axis == b.axis and np.allclose(a.scale, b.scale) and np.allclose(a.shift, b.shift)

    return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)


class _Search:
    """Both ways through the layers that can be run alone."""

    def __init__(self, layers: Layers, probe: Sequence[slice]) -> None:
        self.layers, self.probe = layers, probe
        self.unclear: set[str] = set()
        self.alone: dict[int, Alone] = {}
        self.readers: dict[str, list[int]] = defaultdict(list)
        for position in sorted(position for position in layers.matching.to_variant if position >= 0):
            try:
                alone = layers.at(position)
                alone.made(probe[0], {})
            except (Impossible, RuntimeError):
                continue
            self.alone[position] = alone
            for other in alone.entries.values():
                self.readers[other].append(position)

    def forward(self, maps: ChannelMaps, *, follow: bool) -> dict[str, Fit]:
        """The fit of every value between layers; ``follow``: on the fits before it instead of the maps."""
        fits: dict[str, Fit] = {}
        known = dict(maps)
        for position, alone in self.alone.items():
            made = [alone.made(part, known) for part in self.probe]
            for other in alone.exits:
                if other in fits or not self.readers[other] or OUTPUT in self.layers.matching.variant.readers[other]:
                    continue
                if made[0][other].ndim < 2:
                    continue
                seen = [alone.sides[1].run(part)[other] for part in self.probe]
                fits[other] = fit([m[other] for m in made], seen, self._axis(other, position))
                own = fits[other].as_map()
                if follow and own is not None:
                    known[other] = own
        return fits

    def _axis(self, name: str, maker: int) -> int | None:
        """The axis of a value's channels, by the layers that read it, else by the one that makes it."""
        for positions in (self.readers[name], [maker]):
            kinds = {self.layers.matching.reference.layers[position].kind for position in positions}
            if any("convolution" in kind for kind in kinds):
                return 1
            if "linear" in kinds:
                return -1
        return None

    def backward(self, fits: dict[str, Fit]) -> dict[str, ChannelMap]:
        """The maps that stay, from the output on, since a layer is judged with its own outputs' maps."""
        maps = {name: own for name, fitted in fits.items() if (own := fitted.as_map()) is not None}
        self.unclear.clear()
        for name in reversed(fits):
            chosen = self._chosen(name, fits[name], maps)
            maps.pop(name, None)
            if chosen is not None:
                maps[name] = chosen
            if (fits[name].left > EXACT).any() and self._error(name, maps) > UNCLEAR * len(self.readers[name]):
                self.unclear.add(name)
        return maps

    def _chosen(self, name: str, fitted: Fit, maps: ChannelMaps) -> ChannelMap | None:
        others = {other: own for other, own in maps.items() if other != name}
        own = fitted.as_map()
        options = [*([own] if own is not None else []), *self._filled(name, fitted, others)]
        plain = self._error(name, others) if options else 0.0
        if plain <= SAME:
            return None
        errors = [self._error(name, {**others, name: option}) for option in options]
        least = int(np.argmin(errors)) if errors else 0
        if own is not None and errors[0] <= SURELY * errors[least]:
            least = 0  # what the layer itself shows goes before what its readers show
        if errors and errors[least] * NEARER <= plain:
            return options[least]
        if own is None:
            return None
        # were the map the maker's fault alone, the readers would compute as in the reference without it
        off = plain > UNCLEAR * len(self.readers[name])
        return own if (off and errors[0] < plain) or self._followed(name, own, others) else None

    def _error(self, name: str, maps: ChannelMaps) -> float:
        """Relative squared error of the layers that read a value, on the variant's inputs, summed."""
        total = 0.0
        for position in self.readers[name]:
            alone = self.alone[position]
            sums = []
            for part in self.probe:
                made, seen = alone.made(part, maps)[alone.main], alone.sides[1].run(part)[alone.main]
                sums.append(moments(seen, maps[alone.main].forward(made) if alone.main in maps else made))
            error = float(pooled(joined(sums)).relative_mse)
            total += error if np.isfinite(error) else 1.0
        return total

    def _filled(self, name: str, fitted: Fit, maps: ChannelMaps) -> list[ChannelMap]:
        """The fit where the layer shows it, and what a reader's weights undo where it does not.

        The shift of such channels is tried as none, as the one that brings the lowest values together, which
        activations cut off alike, and as the one that the reader's bias undoes.
        """
        pairs = self._weights(name, len(fitted.scale), maps)
        undone, left = undone_by(pairs, len(fitted.scale))
        known, none = np.isfinite(undone), np.zeros(len(undone))
        own = fitted.as_map() or ChannelMap(fitted.axis, none + 1, none)
        contrary = known & fitted.exact & (np.abs(log_size(undone) - log_size(own.scale)) >= NEAR)
        # a map that the reader does not undo, or that it undoes to another one far more exactly than this one fits
        overruled = contrary & (own.scale != 1) & ((np.abs(log_size(undone)) < NEAR) | (left * EXACTER <= fitted.left))
        filled = known & (~fitted.exact | overruled)
        if not filled.any() or not (overruled.any() or spread(log_size(undone[known])) > NEAR):
            return []
        kept = fitted.exact & ~overruled
        scale = np.where(kept, own.scale, np.where(filled, undone, 1.0))
        shift = np.where(kept, own.shift, 0.0)
        bottom, low, high = fitted.ends
        shifts = [shift, np.where(filled, bottom - scale * np.where(scale > 0, low, high), shift)]
        shifts += [solved for pair in pairs if (solved := shift_undone_by(pair, scale, shift, filled)) is not None]
        return [ChannelMap(fitted.axis, scale, each) for each in shifts]

    def _followed(self, name: str, own: ChannelMap, maps: ChannelMaps) -> bool:
        """Whether the sizes of all readers' weights follow the map, whatever else became of these weights."""
        verdicts = [followed_by(pair, own.scale) for pair in self._weights(name, len(own.scale), maps)]
        return bool(verdicts) and all(verdicts)

    def _weights(self, name: str, channels: int, maps: ChannelMaps) -> list[WeightPair]:
        """The weights of the layers that read a value, where both networks' are known."""
        weights = []
        for position in self.readers[name]:
            twin = self.layers.matching.to_variant[position]
            pair = self.layers.sides[0].weights(position), self.layers.sides[1].weights(twin)
            outputs = maps.get(self.alone[position].main)
            made = WeightPair.of(*pair, None if outputs is None else outputs.scale)
            if made is not None and made.reference.shape[1] == channels:
                weights.append(made)
        return weights
