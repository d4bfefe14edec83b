"""What stands around the values of a variant: protocol, parity of twins, diagnostics, curves and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from bench.cell_id import canonical_parameters
from bench.report.detail import cell_entries
from bench.report.detail_text import CellText, cell_text, finite
from bench.report.interactive.curves import SHAPES, charts
from bench.report.interactive.networks import NetworkRow
from bench.report.interactive.packing import rounded
from bench.report.interactive.tables import tables
from bench.report.waterfall import stages_of
from bench.report.waterfall_text import StagesText, stages_text
from bench.results import Cell, VariantResult
from bench.wording import plain

LONGEST: Final = 1500  # characters of diagnostics of one cell; results.json holds the whole
Place: TypeAlias = Callable[[str], str]  # from a PNG in base64 to what an image's ``src`` names


def small_print(row: NetworkRow, variant: VariantResult | None, place: Place) -> dict[str, Any]:
    """All of it for one row: ``cells``, one for each metric, and ``charts``."""
    told: dict[str, Any] = {
        "cells": [_cell(entry.cell, place, cell_text(replace(entry, values=()))) for entry in cell_entries(row.cells)],
        "charts": charts(row.cells),
    }
    if variant is not None and (stages := stages_of(variant, row.cells)) is not None:
        told["stages"] = _stages(stages_text(stages))
    return told


def _stages(text: StagesText) -> dict[str, Any]:
    """Waterfalls as texts and positions in per cent of the width, and every value stage by stage."""
    return {
        "falls": [
            {
                "title": fall.title,
                "harm": fall.harm,
                "zero": fall.zero,
                "words": fall.words,
                "bars": [
                    {
                        "stage": bar.stage,
                        "target": bar.target,
                        "added": str(bar.added),
                        "total": str(bar.total),
                        "span": None if bar.span is None else [bar.span.start, bar.span.width],
                        "interval": None if bar.interval is None else [bar.interval.start, bar.interval.end],
                        "back": bar.back,
                        "largest": bar.largest,
                    }
                    for bar in fall.bars
                ],
            }
            for fall in text.falls
        ],
        "tables": [
            {
                "metric": table.metric,
                "stages": list(table.stages),
                "rows": [[name, *map(str, figures)] for name, figures in table.rows],
            }
            for table in text.tables
            if table.rows
        ],
        "missing": list(text.missing),
    }


def _cell(cell: Cell, place: Place, text: CellText) -> dict[str, Any]:
    lean = {key: value for key, value in cell.details.items() if key not in SHAPES}
    told = {
        "metric": plain(cell.metric),
        "parameters": canonical_parameters(cell.params),
        "title": text.metric,
        "family": cell.family,
        "values": list(map(plain, cell.values)),
        "status": text.status,
        "reason": text.reason,
        "n": text.n,
        "seconds": text.seconds,
        "cached": text.cached,
        "protocol": [list(pair) for pair in text.protocol],
        "parity": [list(pair) for pair in text.parity],
        "tables": tables(cell),
        "details": _diagnostics(lean),
        "maps": text.of_maps,
        "pictures": [[caption, place(picture)] for caption, picture in text.examples],
    }
    return {key: value for key, value in told.items() if value not in ("", [], False)}


def _diagnostics(details: Mapping[str, Any]) -> str:
    """Details without the curves, which are drawn; rounded and cut where they grow long."""
    lean = {
        side: {key: value for key, value in told.items() if key not in SHAPES} if isinstance(told, Mapping) else told
        for side, told in details.items()
    }
    lean = {key: value for key, value in lean.items() if value not in ({}, [], "")}
    if not lean:
        return ""
    text = json.dumps(rounded(finite(lean)), ensure_ascii=False, indent=1, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n… cut here; results.json holds the whole"
