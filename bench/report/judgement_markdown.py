"""Judgements in Markdown, for the page of a job."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.judgement_terminal import sign_of
from bench.report.judgements import RATIOS, JudgementRow, ratio_lines, rows_of
from bench.report.leaderboard.ratios import ratio_groups
from bench.report.markdown import escape
from bench.report.ratio_text import HEADING, NOTE, ratio_texts
from bench.results import Comparison, Results
from bench.wording import plain

LIMIT = 1_000_000  # bytes of a job summary; GitHub refuses more than 1,024 kB


def summary(comparison: Comparison, limit: int = LIMIT, results: Results | None = None) -> str:
    """Markdown for a job's page: the worst first, and how much was left out where it would be too long.

    Args:
        comparison: What was judged.
        limit: Bytes at most.
        results: The run that was judged: which of its neighbouring variants can be told apart is added.
    """
    head = f"## {escape(comparison.suite)}: {escape(comparison.closing)}\n\nAgainst {escape(comparison.baseline)}.\n"
    head += "".join(f"\n- {escape(plain(note))}\n" for note in comparison.notes)
    known = rows_of(comparison)
    rows = [_row(row) for row in known if not row.unchanged]
    table = "\n| verdict | value | why | look closer |\n| --- | --- | --- | --- |\n" if rows else ""
    same = [row.name for row in known if row.unchanged]
    tail = f"\n{len(same)} the same: {escape('; '.join(same))}.\n" if same else ""
    page = _fitting(head + table, rows, tail, limit)
    ratios = _ratios(comparison) + ("" if results is None else _neighbours(results))
    if len(page.encode()) + len(ratios.encode()) > limit:
        return f"{page}\nHow far each variant moved is left out: this page would be too long.\n"
    return page + ratios


def _neighbours(results: Results) -> str:
    """Each variant beside the next nearer one, folded away: a list for each family and target."""
    groups = [group for group in ratio_texts(ratio_groups(results)) if group.headline]
    lists = [
        f"\n{escape(group.title)}\n\n{''.join(f'- {escape(line.sentence)}{chr(10)}' for line in group.lines)}"
        for group in groups
    ]
    head = f"\n<details><summary>{escape(HEADING)}</summary>\n\n{escape(NOTE)}\n"
    return f"{head}{''.join(lists)}\n</details>\n" if lists else ""


def _ratios(comparison: Comparison) -> str:
    """How far each variant moved beside before, as a list; nothing where no two runs were compared."""
    lines = [f"- {escape(line.sentence)}\n" for line in ratio_lines(comparison)]
    return f"\n### {escape(RATIOS)}\n\n{''.join(lines)}" if lines else ""


def _row(row: JudgementRow) -> str:
    look = f"`{plain(row.look).replace('`', '')}`".replace("|", "\\|") if row.look else ""
    return f"| {sign_of(row.judgement.verdict)} {row.word} | {escape(row.name)} | {escape(row.because)} | {look} |\n"


def _fitting(head: str, rows: Sequence[str], tail: str, limit: int) -> str:
    """Head, as many rows as fit, the tail if it fits; says what is left out."""
    used, kept = len(head.encode()) + 200, []  # 200: the line that tells
    for row in rows:
        used += len(row.encode())
        if used > limit:
            break
        kept.append(row)
    left = len(rows) - len(kept)
    if left:
        note = f"\n{left} of {len(rows)} rows are left out: this page would be too long.\n"
        return head + "".join(kept) + note
    if used + len(tail.encode()) > limit:
        return head + "".join(kept) + "\nThe list of what stayed the same is left out: this page would be too long.\n"
    return head + "".join(kept) + tail
