"""The return value of ``bench.layers``: the layers of a pair, most guilty first."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench.frames import data_frame
from bench.results import LayerReport

if TYPE_CHECKING:
    import pandas

LOSSES: Final = ("js", "accuracy", "nll")
NUMBERS: Final = (
    "sqnr_db", "cosine", "own_error", *(f"{name}{end}" for name in LOSSES for end in ("_removed", "_low", "_high")),
)  # fmt: skip
COLUMNS: Final = ("rank", "layer", "variant_layer", "kind", "culprit", "identical", *NUMBERS, "reason")


@dataclass(frozen=True, eq=False)
class RankedLayers:
    """The layers of a pair by how much each moved the function; ``report`` is what ``why-diverged --json`` prints."""

    report: LayerReport

    @property
    def ranking(self) -> list[str]:
        """The names of the layers, most guilty first."""
        return list(self.report.ranking)

    @property
    def culprits(self) -> list[str]:
        """Those that are shown to do damage."""
        return list(self.report.culprits)

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row of ``COLUMNS`` for each layer, most guilty first.

        ``own_error``: relative squared error of the layer on the variant's own inputs. ``js_removed``: how much of the
        divergence (nats) goes when this layer alone is computed as in the reference, with its 95 % interval;
        ``accuracy_removed`` and ``nll_removed`` likewise, where there are labels. None where a number does not exist.
        """
        layers = {row.name: row for row in self.report.layers}
        for rank, name in enumerate(self.report.ranking, start=1):
            row = layers[name]
            entries = {
                "rank": rank,
                "layer": name,
                "variant_layer": row.variant_name,
                "kind": row.kind,
                "culprit": name in self.report.culprits,
                "identical": row.identical,
                "sqnr_db": row.sqnr_db,
                "cosine": row.cosine,
                "own_error": None if row.added is None else row.added.relative_mse,
                "reason": row.reason or row.restored_reason or "",
            }
            for loss in LOSSES:
                figures = None if row.restored is None else getattr(row.restored, loss)
                low, high = (None, None) if figures is None else figures.ci
                removed = None if figures is None else figures.removed
                entries |= {f"{loss}_removed": removed, f"{loss}_low": low, f"{loss}_high": high}
            yield {name: entries[name] for name in COLUMNS}

    def frame(self) -> pandas.DataFrame:
        """``rows`` as a pandas frame.

        Raises:
            MissingExtra: pandas is not installed.
        """
        return data_frame(self.rows(), COLUMNS, NUMBERS)

    def __repr__(self) -> str:
        from bench.report.layers import render_layers
        from bench.report.terminal_text import terminal_text

        return terminal_text(lambda console: render_layers(self.report, console))

    def _repr_html_(self) -> str:
        """The table of a terminal, in a font of one width."""
        return f'<pre style="line-height:1.3">{html.escape(repr(self))}</pre>'
