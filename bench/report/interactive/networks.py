"""The rows of a page: each reference and each variant, with its verdict, its recipe and what casts doubt on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from bench.cell_id import replicate_suffix
from bench.report.board.model import BoardRow
from bench.report.board_text import SIGNS, UNJUDGED, WORDS, without_opening
from bench.report.leaderboard import Leaderboard, Row, State, leaderboard
from bench.report.step_text import is_control, steps_text
from bench.report.yardsticks import YardstickWords, yardstick_words
from bench.results import Cell, Results, VariantResult
from bench.wording import place_words, plain

DOUBTFUL: Final = ("suspect", "masked")  # verdicts on gradients


@dataclass(frozen=True)
class NetworkRow:
    """One network on one target in one replicate, in one run."""

    key: str  # the same in every page that holds it: what a permanent link names
    run: str
    name: str
    place: str  # target, and the replicate where there are several
    target: str
    state: State | None  # None: a reference
    because: str
    reason: str  # the same without the words that name the network and the verdict
    steps: str
    uses: tuple[str, ...]  # names of the steps
    control: bool  # not compressed: what a change of weights or another training does alone
    unreliable: str  # why robustness may only seem so; empty: nothing is known against it
    cautions: tuple[str, ...]
    cells: tuple[Cell, ...] = field(repr=False)
    of: BoardRow = field(repr=False)
    yardstick: YardstickWords = field(repr=False)
    judged: Row | None = field(repr=False)  # None: a reference

    @property
    def reference(self) -> bool:
        """Whether it is the reference of its run."""
        return self.state is None

    @property
    def sign(self) -> str:
        """Its verdict as one character."""
        return "" if self.state is None else SIGNS[self.state]

    @property
    def verdict(self) -> str:
        """Its verdict in words."""
        return "reference" if self.state is None else WORDS[self.state]

    @property
    def label(self) -> str:
        """Name and place."""
        return f"{self.name} ({self.place})"


class Judged:
    """The rows of a run's own leaderboard by their names; arranged once."""

    def __init__(self, results: Results) -> None:
        self.board: Leaderboard = leaderboard(results)
        self.yardstick = yardstick_words(self.board.yardstick_kind, self.board.yardsticks)
        self.rows = {(row.variant, row.target, row.replicate): row for row in self.board.rows}
        self.variants: dict[tuple[str, str, int | None], VariantResult] = {
            (variant.name, variant.target, variant.replicate): variant for variant in results.variants
        }
        self.said = {place: found for place, row in self.rows.items() if (found := doubts(row.cells)) is not None}

    def unreliable(self, variant: str, target: str, replicate: int | None) -> str:
        """Why a row's robustness is potentially unreliable; a target not looked at has the verdict of the others.

        The same weights run there. Ranks go by the same rule.
        """
        if (variant, target, replicate) in self.said:
            return self.said[variant, target, replicate]
        others = (
            f"on {plain(place[1])}: {text}"
            for place, text in self.said.items()
            if (place[0], place[2]) == (variant, replicate) and text
        )
        return "; ".join(others)


def network_row(row: BoardRow, place: str, judged: Judged) -> NetworkRow:
    """One row in words.

    Args:
        row: of a board.
        place: its target, and its replicate where there are several, in words.
        judged: the leaderboard of its run.
    """
    own = None if row.variant is None else judged.rows[row.variant, row.target, row.replicate]
    cells = () if own is None else own.cells
    name = "reference" if row.variant is None else plain(row.variant)
    role = "reference" if row.variant is None else "variant"
    because = "" if own is None else plain(own.because) or UNJUDGED
    return NetworkRow(
        key=f"{plain(row.run.name)}/{role}/{name}/{plain(row.target)}{replicate_suffix(row.replicate)}",
        run=plain(row.run.name),
        name=name,
        place=place,
        target=plain(row.target),
        state=None if own is None else own.state,
        because=because,
        reason=without_opening(because, f"{name} ({place_words(row.target, row.replicate, several=row.several)})"),
        steps="" if own is None else steps_text(own.steps),
        uses=() if own is None else tuple(plain(step.step) for step in own.steps),
        control=own is not None and is_control(own.steps),
        unreliable="" if row.variant is None else judged.unreliable(row.variant, row.target, row.replicate),
        cautions=tuple(map(plain, row.cautions)),
        cells=cells,
        of=row,
        yardstick=judged.yardstick,
        judged=own,
    )


def doubts(cells: tuple[Cell, ...]) -> str | None:
    """Why the robustness of a variant is potentially unreliable: its gradients are, or may be, masked.

    Nothing is known against it: empty. Nobody looked: None.

    >>> doubts((Cell(variant="int8", target="edge", metric="adversarial.masking", family="adversarial", status="ok",
    ...     details={"variant": {"verdict": "masked", "reasons": ["plain gradients are zero"]}}),))
    'gradients are masked: plain gradients are zero'
    """
    looked = [cell for cell in cells if cell.metric == "adversarial.masking" and cell.status == "ok"]
    for cell in looked:
        told = cell.details.get("variant")
        if isinstance(told, dict) and told.get("verdict") in DOUBTFUL:
            said = "gradients are masked" if told["verdict"] == "masked" else "gradients may be masked"
            return ": ".join(filter(None, (said, "; ".join(map(plain, told.get("reasons", ()))))))
    return "" if looked else None
