"""The JSON Schemas of what commands write, published in ``docs/schema``.

``python -m bench.results.schema docs/schema`` writes them anew.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bench.results.board import BoardFile
from bench.results.history import HistoryFile
from bench.results.judgements import Comparison
from bench.results.layers import LayerReport
from bench.results.run import SCHEMA_VERSION, Results

DRAFT = "https://json-schema.org/draft/2020-12/schema"
PUBLISHED: dict[str, type[BaseModel]] = {
    "results": Results,  # crbench run
    "comparison": Comparison,  # crbench gate --json, compare --json
    "board": BoardFile,  # crbench report
    "history": HistoryFile,  # crbench history
    "layers": LayerReport,  # crbench why-diverged --json
}


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one of the ``PUBLISHED`` documents.

    >>> json_schema("results")["properties"]["schema"]["const"]
    2
    """
    schema = PUBLISHED[name].model_json_schema(mode="serialization")
    if name == "results":
        schema["properties"]["schema"] = {"const": SCHEMA_VERSION, "title": "Schema version"}
        schema["required"] = sorted({*schema["required"], "schema"})
    return {"$schema": DRAFT, **schema}


def as_text(name: str) -> str:
    """The text of the published file."""
    return json.dumps(json_schema(name), indent=2) + "\n"


def main(folder: str) -> None:
    """Write every schema into a folder."""
    for name in PUBLISHED:
        Path(folder).joinpath(f"{name}.schema.json").write_text(as_text(name), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
