"""A transfer matrix in words: a row for each network on which inputs are made, a column where they are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.results import TransferNetwork, TransferResult, TransferShare
from bench.wording import NOTHING, fixed, plain

HEADING = "Adversarial inputs of one network on another"
NOTE = (
    "of the samples that both networks get right, the share on which the row's input fools the column's network,"
    " in per cent with its exact 95 % interval; on the diagonal each network's own inputs"
)
LEVELS = 5  # shades of a heat table


@dataclass(frozen=True)
class ShareText:
    """One share."""

    share: str  # in per cent, without the sign
    interval: str
    n: str  # fooled of how many
    level: int  # 0 to LEVELS: how dark
    own: bool  # the network's own inputs
    reason: str  # why there is none


@dataclass(frozen=True)
class RowText:
    """One network."""

    number: int
    name: str
    target: str
    shares: tuple[ShareText, ...]
    reason: str  # why no inputs were made on it


@dataclass(frozen=True)
class TransferText:
    """One matrix."""

    title: str
    attack: str
    rows: tuple[RowText, ...]
    reason: str  # why there is no matrix


def transfer_texts(found: Sequence[TransferResult]) -> list[TransferText]:
    """Every matrix, in the suite's order."""
    return [_text(item) for item in found]


def share_text(item: TransferShare, *, own: bool = False) -> ShareText:
    """One share in words.

    >>> share_text(TransferShare(n=50, fooled=10, share=0.2, ci=(0.1003, 0.3372)))
    ShareText(share='20', interval='[10, 34]', n='10 of 50', level=1, own=False, reason='')
    """
    if item.share is None:
        return ShareText(NOTHING, "", "", 0, own, plain(item.reason))
    ends = "" if item.ci is None else f"[{', '.join(fixed(100 * end, 0) for end in item.ci)}]"
    level = min(LEVELS, int(item.share * (LEVELS + 1)))
    return ShareText(fixed(100 * item.share, 0), ends, f"{item.fooled} of {item.n}", level, own, "")


def _row(number: int, network: TransferNetwork, shares: Sequence[TransferShare]) -> RowText:
    texts = tuple(share_text(item, own=place == number) for place, item in enumerate(shares))
    target = plain(network.target) + (", straight-through gradients" if network.gradient == "straight_through" else "")
    reason = f"{network.status}: {plain(network.reason)}" if network.reason else ""
    return RowText(number + 1, plain(network.name), target, texts, reason)


def _text(item: TransferResult) -> TransferText:
    told = item.attack
    parts = []
    if told:
        parts = [", ".join(map(plain, told["attacks"])), f"{plain(told['norm'])}, epsilon {told['epsilon']:g}"]
        parts += ["8-bit pixels"] if told["pixel_grid"] else []
        parts += [f"against {plain(told['attacked'])}", f"{item.samples} samples"]
    rows = [_row(number, *pair) for number, pair in enumerate(zip(item.networks, item.matrix, strict=True))]
    reason = "" if item.status == "ok" else f"{item.status}: {plain(item.reason)}"
    return TransferText(plain(item.name), "; ".join(parts), tuple(rows), reason)
