"""Reading a run from its folder: results, and the arrays that belong to them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from bench.errors import UserError
from bench.results import SCHEMA_VERSION, Results
from bench.store.checksums import is_whole, seal_of
from bench.store.samples import ARRAYS, RunSamples, read_samples
from bench.wording import plain


class Run(NamedTuple):
    """A run as it lies on disk; arrays are None where the folder has none."""

    results: Results
    samples: RunSamples | None
    path: Path


def load_run(path: Path | str, *, arrays: bool = False) -> Run:
    """Read ``results.json`` and ``arrays.npz`` of a folder, or of the folder of a ``results.json``.

    Raises:
        UserError: absent, cut short, of another version, without a checksum or with one that does not fit; its arrays
            are of another run, or absent although ``arrays`` asks for them.
    """
    path = Path(path)
    file = path / "results.json" if path.is_dir() else path
    results = _results(file)
    beside = file.parent / ARRAYS
    if not beside.is_file():
        if arrays:
            what = "no such file, and paired tests need it"
            raise UserError.at(str(beside), what, "measure again: crbench run SUITE")
        return Run(results, None, file)
    samples = read_samples(beside, results.arrays_sha256)
    keys = {cell.id.path: cell.key for cell in results.cells}
    strangers = [path for path, cell in samples.cells.items() if keys.get(path) != cell.key]
    if strangers:
        what = f"arrays of another run than {file.name} ({len(strangers)} cells differ)"
        raise UserError.at(str(beside), what, "keep both files of a run together, or measure again")
    return Run(results, samples, file)


def results_json(results: Results, indent: int | None = None) -> str:
    """The text of ``results.json``: the results with their checksum."""
    bare = results.model_copy(update={"sha256": ""})
    seal = seal_of(json.loads(bare.model_dump_json(by_alias=True)))
    return bare.model_copy(update={"sha256": seal}).model_dump_json(by_alias=True, indent=indent)


def _suite_of(content: Mapping[str, Any]) -> str:
    """The path of the suite that results of any schema name, as a shell takes it."""
    suite = content.get("suite")
    path = suite.get("path") if isinstance(suite, dict) else None
    return shlex.quote(plain(path)) if isinstance(path, str) and path.strip() else "SUITE"


def _results(file: Path) -> Results:
    try:
        text = file.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
        content = json.loads(text)
    except OSError as error:
        advice = "name a folder with results.json, which crbench run writes"
        raise UserError.at(str(file), error.strerror or "cannot be read", advice) from None
    except (ValueError, RecursionError):
        raise UserError.at(str(file), "is no JSON, or cut short", "measure again: crbench run SUITE") from None
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA_VERSION or isinstance(schema, bool):
        if not isinstance(schema, int) or isinstance(schema, bool):
            raise UserError.at(
                str(file), "holds no results", "name a folder with results.json, which crbench run writes"
            )
        what = f"results of schema {schema}, this program reads {SCHEMA_VERSION}"
        raise UserError.at(str(file), what, f"measure again: crbench run {_suite_of(content)}")
    try:
        results = Results.model_validate_json(text, strict=True)  # a text or a truth value is no number
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError.at(f"{file}: {plain(where)}", plain(first["msg"]), "measure again: crbench run SUITE") from None
    if not is_whole(content):
        what = "its checksum does not fit: it was changed, or is damaged"
        if not results.sha256:
            what = "it holds no checksum: it was changed, or not written by crbench run"
        raise UserError.at(str(file), what, f"measure again: crbench run {_suite_of(content)}")
    return results
