"""Exit codes, and what makes a run incomplete; 2 and 4 are the command line's own."""

from __future__ import annotations

from collections.abc import Sequence

from bench.gate.verdicts import UNGATED, cells_of, subjects
from bench.results import Cell, GateResult, Judgement, Results, Word
from bench.wording import plain, title

PASS, REGRESSION, INCOMPLETE = 0, 1, 3
UNSURE: tuple[Word, ...] = ("errored", "missing", "incomparable")


def exit_code(results: Results, gate: bool, strict: bool = False) -> int:
    """0 pass, 1 regression, 3 incomplete; 3 goes before 1 (2 and 4 are the command line's).

    1 needs ``gate`` and a failed gate, with ``strict`` an inconclusive one is enough. ``gate`` where no gate was set,
    or where one was not looked at (``unseen``), is incomplete: a gate that looked at nothing must not pass.
    """
    if incomplete(results):
        return INCOMPLETE
    if not gate:
        return PASS
    if unseen(results):
        return INCOMPLETE
    found = {given.verdict for cell in results.cells for value in cell.values.values() for given in value.gates}
    if not found - {"accepted"}:
        return INCOMPLETE
    broken = {"failed", "inconclusive"} if strict else {"failed"}
    return REGRESSION if found & broken else PASS


def why_exit(results: Results, gate: bool, strict: bool = False) -> str:
    """Why ``exit_code`` is not 0, in one line; empty where it is.

    >>> from bench.results import ReferenceResult, SuiteInfo
    >>> empty = Results(suite=SuiteInfo(name="s", fingerprint="f"), reference=ReferenceResult())
    >>> exit_code(empty, True), why_exit(empty, True)
    (3, 'incomplete: nothing ran')
    """
    code = exit_code(results, gate, strict)
    if code == PASS:
        return ""
    if code == INCOMPLETE:
        lines = incomplete(results) or unseen(results) or [f"{UNGATED}: --gate looked at nothing"]
        return f"incomplete: {first_of(lines)}"
    broken = ("failed", "inconclusive") if strict else ("failed",)
    lines = [
        f"{plain(cell.variant)} ({plain(cell.target)}): {title(name)} {each.because}"
        for cell in results.cells
        for name, value in cell.values.items()
        for each in value.gates
        if each.verdict in broken
    ]
    return f"regression: {first_of(lines)}"


def first_of(lines: Sequence[str]) -> str:
    """The first line, and how many more there are."""
    return lines[0] + (f" and {len(lines) - 1} more" if len(lines) > 1 else "")


def exit_code_of(results: Results, judgements: Sequence[Judgement], *, strict: bool = False) -> int:
    """0 pass, 1 regression, 3 incomplete; 3 goes before 1.

    3: a cell errored, something that decides is missing or incomparable, the run left gated cells out, or nothing was
    judged at all. 1: something regressed; with ``strict`` also what is inconclusive and not shown to be no worse. An
    accepted skip never decides.
    """
    silent = ("incomparable", "accepted")
    deciding = [item for item in judgements if item.decides or (strict and item.verdict not in silent)]
    if incomplete(results) or results.left_out or not deciding or any(item.verdict in UNSURE for item in deciding):
        return INCOMPLETE
    if any(item.verdict == "regressed" for item in deciding):
        return REGRESSION
    open_ = any(item.verdict == "inconclusive" and not item.not_worse for item in deciding)
    return REGRESSION if strict and open_ else PASS


def looked_at(cell: Cell, gate: GateResult) -> bool:
    """Whether a gate had anything to look at."""
    return cell.status == "ok" and gate.looked


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
    shown = ", ".join(f"{name} ({', '.join(dict.fromkeys(targets))})" for name, targets in variants.items())
    count = len(results.left_out)
    cells = "1 gated cell was" if count == 1 else f"{count} gated cells were"
    return [f"{cells} left out by --only or --shard: {shown}"]


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
    if not any(cell.status == "ok" for cell in results.cells):
        lines.append("nothing ran")
    return lines
