"""The exit code of a run, and what makes it incomplete."""

from __future__ import annotations

from collections.abc import Sequence

from bench.exit_codes import ExitCode, worst
from bench.gate.gated import judge_gates, looked_at
from bench.gate.verdicts import UNGATED, cells_of, subjects
from bench.results import Judgement, Results
from bench.results.consequences import exit_code_of_judgements, failing
from bench.wording import plain, title


def exit_code(results: Results, gate: bool, strict: bool = False) -> ExitCode:
    """PASS, REGRESSION or INCOMPLETE, the last before the second (USAGE and INTERNAL are the command line's).

    REGRESSION needs ``gate`` and a failed gate, with ``strict`` an inconclusive one is enough. ``gate`` where no gate
    was set, or where one was not looked at (``unseen``), is INCOMPLETE: a gate that looked at nothing must not pass.
    """
    if incomplete(results):
        return ExitCode.INCOMPLETE
    return exit_code_of(results, _gates(results), strict=strict) if gate else ExitCode.PASS


def _gates(results: Results) -> list[Judgement]:
    return [item for cell in results.cells for item in judge_gates(cell)]


def why_exit(results: Results, gate: bool, strict: bool = False) -> str:
    """Why ``exit_code`` is not PASS, in one line; empty where it is.

    >>> from bench.results import ReferenceResult, SuiteInfo
    >>> empty = Results(suite=SuiteInfo(name="s", fingerprint="f"), reference=ReferenceResult())
    >>> exit_code(empty, True).name, why_exit(empty, True)
    ('INCOMPLETE', 'incomplete: nothing ran')
    """
    code = exit_code(results, gate, strict)
    if code == ExitCode.PASS:
        return ""
    if code == ExitCode.INCOMPLETE:
        lines = incomplete(results) or unseen(results) or [f"{UNGATED}: --gate looked at nothing"]
        return f"incomplete: {first_of(lines)}"
    lines = [
        f"{plain(item.variant)} ({plain(item.target)}): {title(item.value)} {item.because}"
        for item in failing(_gates(results), strict)
    ]
    return f"regression: {first_of(lines)}"


def first_of(lines: Sequence[str]) -> str:
    """The first line, and how many more there are."""
    return lines[0] + (f" and {len(lines) - 1} more" if len(lines) > 1 else "")


def exit_code_of(results: Results, judgements: Sequence[Judgement], *, strict: bool = False) -> ExitCode:
    """PASS, REGRESSION or INCOMPLETE, the last before the second.

    INCOMPLETE: a cell errored, something that decides is missing or incomparable, the run left gated cells out, or
    nothing was judged at all. REGRESSION: something regressed; with ``strict`` also what is inconclusive and not shown
    to be no worse. An accepted skip never decides.
    """
    whole = ExitCode.INCOMPLETE if incomplete(results) or results.left_out else ExitCode.PASS
    return worst((whole, exit_code_of_judgements(judgements, strict)))


def unseen(results: Results) -> list[str]:
    """Gates that were not looked at, one line each: of cells skipped or errored, or that the run left out.

    A skip that is accepted by name is none.
    """
    lines = []
    for cell in results.cells:
        names = [
            title(name)
            for name, value in cell.values.items()
            if any(not looked_at(cell, gate) and gate.verdict != "accepted" for gate in value.gates)
        ]
        if names:
            where = f"{plain(cell.variant)} ({plain(cell.target)}) {plain(cell.metric)}"
            reason = f": {plain(cell.reason)}" if cell.reason else ""
            word = "not measured" if cell.status == "ok" else cell.status
            lines.append(f"{where}, gated by {', '.join(names)}: {word}{reason}")
    return [*lines, *left_out(results)]


def left_out(results: Results) -> list[str]:
    """The gated variants that a run with ``--only`` or ``--shard`` does not hold, in one line."""
    if not results.left_out:
        return []
    variants: dict[str, list[str]] = {}
    for cell in results.left_out:
        variants.setdefault(plain(cell.variant), []).append(plain(cell.target))
    names = ", ".join(f"{name} ({', '.join(dict.fromkeys(targets))})" for name, targets in variants.items())
    count = len(results.left_out)
    cells = "1 gated cell was" if count == 1 else f"{count} gated cells were"
    return [f"{cells} left out by --only or --shard: {names}"]


def incomplete(results: Results) -> list[str]:
    """Why the run is not whole, one line each: errored cells and stages, skips without a reason, nothing measured.

    A skipped cell that says why is not incomplete. Nothing measured at all is.
    """
    lines = []
    for cell in results.cells:
        where = f"{plain(cell.variant)} ({plain(cell.target)}) {plain(cell.metric)}"
        if cell.status == "error":
            lines.append(f"{where}: {plain(cell.reason) or 'an error without a message'}")
        elif cell.status == "skipped" and not cell.reason.strip():
            lines.append(f"{where}: skipped without a reason")
    for variant, name in zip(results.variants, subjects(results.variants), strict=True):
        if not cells_of(variant, results.cells):
            lines.append(f"{name}: nothing was measured")
        for stage in variant.stages:
            faults = [item for item in stage.metrics if item.status == "error"]
            lines += [f"{name} at {plain(stage.name)}, {plain(item.metric)}: {plain(item.reason)}" for item in faults]
    for space in results.landscape:
        if space.status == "error":
            lines.append(f"landscape {plain(space.name)}: {plain(space.reason)}")
    for item in results.exemplars:
        if item.status == "error":
            lines.append(f"exemplars of {plain(item.variant)} ({plain(item.target)}): {plain(item.reason)}")
    for matrix in results.transfer:
        if matrix.status == "error":
            lines.append(f"transfer matrix {plain(matrix.name)}: {plain(matrix.reason)}")
    for worth in results.equivalents:
        if worth.status == "error":
            lines.append(f"deep-ensemble equivalents {plain(worth.name)}: {plain(worth.reason)}")
    if not any(cell.status == "ok" for cell in results.cells):
        lines.append("nothing ran")
    return lines
