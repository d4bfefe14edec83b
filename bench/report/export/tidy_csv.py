"""Results as one table: a line a value."""

from __future__ import annotations

import csv
import io
from typing import Final

from bench.frames import COLUMNS, value_rows
from bench.results import Results

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet compute a text


def safe(text: str) -> str:
    """A text that no spreadsheet computes.

    >>> safe("=1+1"), safe("ptq8")
    ("'=1+1", 'ptq8')
    """
    return f"'{text}" if text.startswith(FORMULA) else text


def tidy_csv(results: Results) -> dict[str, str]:
    """``values.csv``: the columns of ``RunResults.frame()``, unrounded; empty where there is no number."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in value_rows(results.cells):
        writer.writerow(_text(row[name]) for name in COLUMNS)
    return {"values.csv": out.getvalue()}


def _text(item: object) -> str:
    if item is None:
        return ""
    return repr(item) if isinstance(item, float) else safe(str(item))
