"""Aligns rows of text in columns."""

from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Rows of cells as lines, aligned in columns.

    >>> columns([("torch", "1 thread"), ("edge", "4 threads")])
    ['  torch  1 thread', '  edge   4 threads']
    """
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]
