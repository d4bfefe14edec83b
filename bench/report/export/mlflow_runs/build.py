"""Results as runs of MLflow: numbers are metrics, what has no number says so in a tag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bench.cell_id import canonical_parameters, replicate_suffix
from bench.frames import value_rows
from bench.report.board.model import BoardRow, BoardRun
from bench.report.board.rows import rows_of, warnings_of
from bench.report.board_text import WORDS
from bench.report.export.mlflow_runs.failures import failures
from bench.report.export.mlflow_runs.model import MlflowRun, MlflowRuns, checksum, mlflow_name, mlflow_text
from bench.report.export.parquet import origin
from bench.report.interactive.networks import Judged
from bench.report.leaderboard.marks import state_of
from bench.report.step_text import steps_text
from bench.results import Cell, Results, Verdict

FIGURES = ("estimate", "low", "high", "gap", "gap_low", "gap_high", "variant_figure", "reference")  # of bench.frames
Place = tuple[str, str, int | None]  # variant, target, replicate


def mlflow_runs(results: Results) -> MlflowRuns:
    """The run of the whole and those of its variants; every figure of every cell is in one of these."""
    places: dict[Place, list[Cell]] = {(item.name, item.target, item.replicate): [] for item in results.variants}
    for cell in results.cells:
        places.setdefault((cell.variant, cell.target, cell.replicate), []).append(cell)
    judged = Judged(results)
    run = BoardRun("", "", results)
    said = {(row.variant, row.target, row.replicate): row for row in rows_of(run)}
    variants = tuple(_variant(results, place, cells, judged, said.get(place)) for place, cells in places.items())
    return MlflowRuns(_whole(results, warnings_of(run)), variants)


def _whole(results: Results, warnings: Sequence[str]) -> MlflowRun:
    data, run, reference = results.suite.data, results.run, results.reference
    started = "" if run is None else run.started
    params: dict[str, object] = {
        "suite": results.suite.name,
        "yardsticks": f"{reference.yardsticks} {reference.yardstick_kind}",
    }
    if data is not None:
        params |= {"data": data.name, "train": data.train, "calibration": data.calibration}
        params |= {"evaluation": data.evaluation}
    if run is not None:
        params |= {"seed": run.seed, "device": run.device}
    failed = failures(results)
    tags = _tags(results, "run", results.verdict)
    tags |= {f"crbench.warning {i}": text for i, text in enumerate(warnings, 1)}
    tags |= {f"crbench.error {i}": text for i, text in enumerate(failed, 1)}
    name = " ".join(filter(None, (results.suite.name, started)))
    return MlflowRun(mlflow_text(name), _texts(tags), _texts(params), failed=bool(failed))


def _variant(results: Results, place: Place, cells: Sequence[Cell], judged: Judged, row: BoardRow | None) -> MlflowRun:
    variant, target, replicate = place
    known = judged.variants.get(place)
    which = f" {replicate_suffix(replicate)}".rstrip()
    tags: dict[str, object] = dict(_tags(results, "variant", None if known is None else known.verdict))
    if doubt := judged.unreliable(*place):
        tags["crbench.potentially_unreliable"] = doubt
    tags |= {f"crbench.caution {i}": text for i, text in enumerate(() if row is None else row.cautions, 1)}
    params: dict[str, object] = {"variant": variant, "target": target}
    params["replicate"] = "all" if replicate is None else replicate
    if known is not None:
        params["steps"] = steps_text(known.steps) or "none"
        for count, step in enumerate(known.steps, 1):
            params[f"step {count}"] = f"{step.step} {canonical_parameters(step.parameters)}"
    metrics: dict[str, float] = {}
    for cell, use in zip(cells, _uses(cells), strict=True):
        params |= {mlflow_name(use, name): value for name, value in cell.params.items()}
        if cell.status != "ok":
            tags[mlflow_name(use, "status")] = f"{cell.status}: {cell.reason}"
            continue
        for line in value_rows([cell] if cell.values else ()):
            value, held = line["value"], cell.values[line["value"]]
            figures = {**{name: line[name] for name in FIGURES}, "n": held.n}
            metrics |= {mlflow_name(use, value, name): figure for name, figure in figures.items() if figure is not None}
            bound = held.bound and f"{held.bound.kind} bound, {held.bound.norm}, {held.bound.domain}"
            said = {"reason": line["reason"], "gate": line["gate"], "bound": bound}
            tags |= {mlflow_name(use, value, name): text for name, text in said.items()}
    failed = any(cell.status == "error" for cell in cells)
    return MlflowRun(mlflow_text(f"{variant} on {target}{which}"), _texts(tags), _texts(params), metrics, failed)


def _uses(cells: Sequence[Cell]) -> list[str]:
    """Each metric and all its parameters in words: the same in every run, whatever else was measured.

    >>> def cell(**params):
    ...     return Cell(variant="v", target="t", metric="m", family="f", status="ok", params=params)
    >>> _uses([cell(steps=20, epsilon=0.1), cell(), cell(steps=1), cell(steps="1")])
    ['m epsilon 0.1 steps 20', 'm', 'm steps 1 8326a4cb', 'm steps 1 0e5774ca']
    """
    words = []
    for cell in cells:
        given = (f"{name} {value}" for name, value in sorted(cell.params.items()) if value is not None)
        words.append(" ".join((cell.metric, *given)))
    counts = Counter(words)
    sums = (checksum(canonical_parameters(cell.params)) for cell in cells)
    return [f"{use} {told}" if counts[use] > 1 else use for use, told in zip(words, sums, strict=True)]


def _tags(results: Results, level: str, verdict: Verdict | None) -> dict[str, object]:
    run = results.run
    tags: dict[str, object] = {**origin(results), "crbench.level": level}
    if verdict is not None:
        tags |= {"crbench.verdict": WORDS[state_of(verdict)], "crbench.verdict_because": verdict.because}
    if run is not None:
        machine = run.machine
        tags |= {
            "crbench.processor": f"{machine.cpu}, {machine.cores or '?'} cores, {machine.system}",
            "crbench.processor_fingerprint": machine.fingerprint,
            "crbench.device": run.device,
            "mlflow.source.git.commit": run.git.commit,  # MLflow's own name: its pages show it
            "crbench.git_dirty": run.git.dirty,
        }
    return tags


def _texts(items: Mapping[str, object]) -> dict[str, str]:
    """Texts as MLflow takes them, without those that say nothing.

    >>> _texts({"a": 0, "b": None, "c": "", "d": False})
    {'a': '0', 'd': 'False'}
    """
    told = {name: "" if item is None else mlflow_text(item) for name, item in items.items()}
    return {name: text for name, text in told.items() if text}
