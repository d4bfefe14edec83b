"""Results as one table: a line a value."""

from __future__ import annotations

import csv
import io

from bench.frames import COLUMNS, value_rows
from bench.report.spreadsheet import csv_text
from bench.results import Results


def tidy_csv(results: Results) -> dict[str, str]:
    """``values.csv``: the columns of ``RunResults.frame()``, unrounded; empty where there is no number."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in value_rows(results.cells):
        writer.writerow(csv_text(row[name]) for name in COLUMNS)
    return {"values.csv": out.getvalue()}
