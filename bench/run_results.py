"""The results of a run or a diff in Python: look-up, frame, plot, gate, report."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from bench.errors import UserError
from bench.frames import ratios_frame, series_frame, shown_parameters, value_rows, values_frame
from bench.plots import What, plot_values
from bench.registry import nearest, parse_parameters
from bench.results import Cell, Comparison, Results, ValueResult
from bench.store.samples import RunSamples

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

    from bench.stats.ratio import Ratio

HEIGHT = 640  # pixels of the report in a notebook
SHOWN = 6


class NoSuchCell(UserError, KeyError):
    """The error of a name to which no cell, more than one, or no value answers."""

    def __str__(self) -> str:
        """The message, not its representation as of a plain key."""
        return "\n".join(map(str, self.problems))


class CellValues(Mapping[str, ValueResult]):
    """The values of one cell by name; ``cell`` is all that is known of it."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell

    def __getitem__(self, value: str) -> ValueResult:
        if value in self.cell.values:
            return self.cell.values[value]
        label = cell_label(self.cell)
        if self.cell.status != "ok":
            raise NoSuchCell.at(label, f"{self.cell.status}: {self.cell.reason}")
        raise NoSuchCell.at(label, f"no value {value!r}", nearest(value, self.cell.values))

    def __iter__(self) -> Iterator[str]:
        return iter(self.cell.values)

    def __len__(self) -> int:
        return len(self.cell.values)

    def __repr__(self) -> str:
        if self.cell.status != "ok":
            return f"{cell_label(self.cell)}: {self.cell.status}: {self.cell.reason}"
        lines = [f"{cell_label(self.cell)} (n = {self.cell.n})"]
        for row in value_rows([self.cell]):
            figures = [_figure(row, "estimate", "low", "high"), _figure(row, "gap", "gap_low", "gap_high", "gap ")]
            lines.append(f"  {row['value']} ({row['kind']}): {', '.join(filter(None, figures)) or row['reason']}")
        return "\n".join(lines)


class RunResults(Results):
    """The results of a run or of a pair, as ``results.json`` holds them, with what is done with them in Python.

    ``r["fidelity.predictions"]["js"].gap`` is one figure, ``r.frame()`` a tidy table, ``r.plot("gap")`` a picture,
    ``r.gate(baseline=...)`` a judgement, ``r.save(folder)`` what ``crbench run`` writes. In a notebook the leaderboard
    is shown, elsewhere the table of a terminal.
    """

    _samples: RunSamples = PrivateAttr()
    _pair: bool = PrivateAttr(False)

    @classmethod
    def of(cls, results: Results, samples: RunSamples, *, pair: bool = False) -> RunResults:
        """The results with the per-sample arrays of what is gated; of a ``pair`` every value is shown."""
        made = cls.model_validate(dict(results))
        made._samples, made._pair = samples, pair
        return made

    @property
    def samples(self) -> RunSamples:
        """The per-sample arrays of what is gated, beside the results: what a baseline is made of."""
        return self._samples

    def as_pair(self) -> RunResults:
        """The same results, of which every value is shown."""
        return RunResults.of(self, self._samples, pair=True)

    def __getitem__(self, key: str | tuple[str, ...]) -> CellValues:
        """The one cell that a name means.

        Args:
            key: a metric, with parameters (``"adversarial.pgd[epsilon=0.1]"``) where it was measured with several; with
                the variant and the target before it where there are several: ``"int8/edge/fidelity.predictions"``, or
                ``"int8", "fidelity.predictions"``. Variants, targets and metrics may hold ``*``.

        Raises:
            NoSuchCell: a ``KeyError``: no cell, or more than one.
        """
        parts = key.split("/") if isinstance(key, str) else [str(part) for part in key]
        matching = [cell for cell in self.cells if _answers(cell, parts)]
        if len(matching) == 1:
            return CellValues(matching[0])
        given_name = "/".join(parts)
        if not matching:
            known = sorted({name for cell in self.cells for name in (cell.metric, cell_label(cell))})
            raise NoSuchCell.at(given_name, "no such cell", nearest(given_name, known))
        labels = [cell_label(cell) for cell in matching]
        more = ", ..." if len(labels) > SHOWN else ""
        raise NoSuchCell.at(given_name, f"{len(matching)} cells", f"say which: {', '.join(labels[:SHOWN])}{more}")

    def ratio(self, first: str, second: str, value: str = "") -> Ratio:
        """How far one variant moved beside another: (Δ_first / Δ_second)^(1/p), with its paired interval.

        The ratio of both gaps, in which the yardsticks cancel: none are needed. Below 1 where the first is nearer to
        the reference. Whether two intervals of gaps overlap says nothing of this.

        Args:
            first: The name of a cell, as in ``r[...]``, such as ``"int8/edge/fidelity.predictions"``.
            second: Another cell of the same metric.
            value: A change that is gated, or the metric's headline; by default the headline.

        Raises:
            NoSuchCell: no such cell or value, or its distances were not kept.
            UserError: the cells are not of one metric on the same samples.
        """
        from bench.variant_ratio import ratio_of_cells

        return ratio_of_cells(self[first].cell, self[second].cell, self._samples, value)

    def ratios(self) -> pandas.DataFrame:
        """A row for each variant and the next nearer one, and the nearest; by a family's headline for every two.

        See ``bench.frames.RATIO_COLUMNS``; the first is the one that moved further. ``variant_ratios`` holds the same.

        Raises:
            MissingExtra: pandas is not installed.
        """
        return ratios_frame(self.variant_ratios)

    def series_frame(self) -> pandas.DataFrame:
        """A row for every figure along the suite's series; see ``bench.frames.SERIES_COLUMNS``.

        Raises:
            MissingExtra: pandas is not installed.
        """
        return series_frame(self.series)

    def frame(self) -> pandas.DataFrame:
        """A row for every value, and one for each cell that was skipped or failed; see ``bench.frames.COLUMNS``.

        Raises:
            MissingExtra: pandas is not installed.
        """
        return values_frame(self.cells)

    def plot(self, what: What = "gap", ax: Axes | None = None) -> Axes:
        """Every ``gap``, ``change`` or ``harm`` with its interval, on matplotlib axes.

        Raises:
            UserError: no value has such a figure.
            MissingExtra: matplotlib is not installed.
        """
        from bench.report.yardsticks import yardstick_words

        words = yardstick_words(self.reference.yardstick_kind, self.reference.yardsticks)
        return plot_values(value_rows(self.cells), what, ax, words.network)

    def gate(self, baseline: Path | str | None = None, *, strict: bool = False) -> Comparison:
        """Judge every gate against the reference, or, with a baseline, whether anything became worse since.

        Args:
            baseline: the file that ``crbench baseline accept`` wrote.
            strict: what is not shown to be no worse, and what is new, fails too.

        Returns:
            The judgements and the ``exit_code``: 0 passed, 1 regression, 3 incomplete or nothing judged.

        Raises:
            UserError: the baseline cannot be read.
        """
        from bench.errors import legible
        from bench.gate import conclude, judge_baseline, judge_reference, load_baseline

        if baseline is None:
            return conclude(self, judge_reference(self), "the reference", strict=strict)
        known = load_baseline(Path(baseline))
        name = legible(f"baseline {Path(baseline).name}, accepted {known.accepted}")
        return conclude(self, judge_baseline(self, self._samples, known), name, strict=strict)

    def save(self, folder: Path | str, *, inline_pictures: bool = False) -> RunResults:
        """Write what ``crbench run`` writes: ``results.json``, ``arrays.npz`` and the report ``index.html``.

        Args:
            folder: it is made where it does not exist.
            inline_pictures: pictures of samples stand within the report, not in ``pictures/`` beside it.

        Returns:
            The results as they were written, with the checksum of the arrays beside them. ``crbench gate``,
            ``compare`` and ``baseline accept`` take the folder.
        """
        from bench.gate import results_json
        from bench.report.html import render_html
        from bench.report.interactive import inline
        from bench.report.pictures import Pictures
        from bench.store.checksums import sha256
        from bench.store.files import write_atomic
        from bench.store.samples import write_samples

        folder = Path(folder)
        arrays = write_samples(self._samples, folder)  # the results come last: they name the arrays
        named = self.model_copy(update={"arrays_sha256": sha256(arrays.read_bytes())})
        write_atomic(folder / "results.json", (results_json(named, indent=1) + "\n").encode())
        pictures = Pictures()
        page = render_html(named, inline if inline_pictures else pictures.place)
        pictures.write(folder)
        write_atomic(folder / "index.html", page.encode())
        return named

    def __repr__(self) -> str:
        """The table that the command line prints."""
        from bench.report.pair import render_pair
        from bench.report.terminal import render
        from bench.report.terminal_text import terminal_text

        return terminal_text(lambda console: (render_pair if self._pair else render)(self, console))

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """The report of ``index.html`` in a frame of its own: neither it nor the notebook can change the other."""
        from bench.report.html import render_html

        page = html.escape(render_html(self), quote=True)
        return f'<iframe srcdoc="{page}" style="width:100%;height:{HEIGHT}px;border:0" title="crbench"></iframe>'


def cell_label(cell: Cell) -> str:
    """variant/target/metric with the parameters that have a value, and the replicate from the second on."""
    params = shown_parameters(cell.params)
    replicate = f"#{cell.replicate}" if cell.replicate else ""
    return f"{cell.variant}/{cell.target}/{cell.metric}{f'[{params}]' if params else ''}{replicate}"


def _answers(cell: Cell, parts: list[str]) -> bool:
    """Whether a cell has every part: its variant, its target, or its metric with these parameters among its own."""
    if "/".join(parts) == cell_label(cell):
        return True
    *parents, last = parts
    if not _metric_answers(cell, last):
        return False
    return all(any(fnmatchcase(name, part) for name in (cell.variant, cell.target)) for part in parents)


def _metric_answers(cell: Cell, text: str) -> bool:
    name, mark, rest = text.partition("[")
    if not fnmatchcase(cell.metric, name):
        return False
    given = parse_parameters(rest.removesuffix("]"), text) if mark else {}
    return all(cell.params.get(key) == value for key, value in given.items())


def _figure(row: Mapping[str, Any], name: str, low: str, high: str, word: str = "") -> str:
    """A figure with its interval; empty where there is none."""
    if row[name] is None and row[high] is None:
        return ""
    ends = ["-" if row[end] is None else f"{row[end]:.4g}" for end in (low, high)]
    interval = "" if ends == ["-", "-"] else f" [{', '.join(ends)}]"
    return f"{word}{'-' if row[name] is None else f'{row[name]:.4g}'}{interval}"
