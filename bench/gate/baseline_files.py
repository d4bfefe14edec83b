"""Reading and writing a baseline: figures in sorted JSON, and their per-sample arrays in an npz beside it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from bench.errors import UserError
from bench.gate.baseline import BASELINE_VERSION, Baseline, BaselineCell
from bench.store.checksums import is_whole, sealed, sha256
from bench.store.files import write_atomic
from bench.store.samples import CellSamples, RunSamples, read_samples, to_bytes
from bench.wording import plain

AGAIN = "take both files from version control again"


class OldBaseline(UserError):
    """A baseline of an older version: it is renewed, not read."""


def arrays_beside(path: Path) -> Path:
    """The file of a baseline's per-sample arrays."""
    return path.with_suffix(".npz") if path.suffix == ".json" else path.with_name(f"{path.name}.npz")


def load_baseline(path: Path | str) -> Baseline:
    """Read a baseline and the arrays beside it.

    Raises:
        OldBaseline: of an older version; says which command renews it.
        UserError: absent, damaged, or of an unknown version.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text)
    except OSError as error:
        raise UserError.at(str(path), error.strerror or "cannot be read", "crbench baseline accept RUN") from None
    except (ValueError, RecursionError):
        raise UserError.at(str(path), "is no JSON, or cut short", AGAIN) from None
    _check_version(path, content)
    try:
        baseline = Baseline.model_validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError.at(f"{path}: {plain(where)}", plain(first["msg"]), AGAIN) from None
    if not is_whole(content):
        what = "its checksum does not fit: it was changed, or is damaged"
        right = f"{AGAIN}; what two branches accepted is accepted again, not merged"
        raise UserError.at(str(path), what, right)
    samples = read_samples(arrays_beside(path), baseline.arrays_sha256, AGAIN)
    for cells, known in ((baseline.cells, samples.cells), (baseline.first, samples.first)):
        for cell in cells:
            _attach(cell, known.get(cell.id.path), path)
    return baseline.model_copy(update={"sha256": "", "arrays_sha256": ""})  # they are of the files


def _check_version(path: Path, content: object) -> None:
    version = content.get("crbench_baseline") if isinstance(content, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise UserError.at(str(path), "is no baseline", "crbench baseline accept RUN writes one")
    if version < BASELINE_VERSION:
        suite = content.get("suite") if isinstance(content, dict) else None
        run = shlex.quote(f"reports/{plain(suite)}") if isinstance(suite, str) and suite else "RUN"
        what = f"a baseline of version {version}, this program reads {BASELINE_VERSION}"
        right = f"renew it: crbench baseline accept {run} --restart -o {shlex.quote(str(path))}"
        raise OldBaseline.at(str(path), what, right)
    if version != BASELINE_VERSION:
        what = f"a baseline of version {version}, this program reads {BASELINE_VERSION}"
        raise UserError.at(str(path), what, "a newer crbench wrote it: read it with that one")


def _attach(cell: BaselineCell, samples: CellSamples | None, path: Path) -> None:
    """Give a cell its arrays."""
    try:
        if samples is None or samples.key != cell.key or samples.identity["n"] != cell.n:
            raise ValueError("arrays of another baseline")
        for name, value in cell.values.items():
            value.with_samples(samples.values[name])
    except (ValueError, LookupError) as error:
        what = f"{plain(cell.label)}: {plain(error)}" if isinstance(error, ValueError) else "a value without arrays"
        raise UserError.at(str(arrays_beside(path)), what, AGAIN) from None


def write_baseline(baseline: Baseline, path: Path | str) -> int:
    """Write both files, the arrays first; answers their size in bytes."""
    path = Path(path)
    cells, first = _samples_of(baseline.cells), _samples_of(baseline.first)
    arrays = to_bytes(RunSamples(cells, first=first))
    content = baseline.model_dump(mode="json", exclude_defaults=True, exclude={"sha256", "arrays_sha256"})
    content = sealed(content | {"crbench_baseline": BASELINE_VERSION, "arrays_sha256": sha256(arrays)})
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=True, allow_nan=False) + "\n"
    write_atomic(arrays_beside(path), arrays)
    write_atomic(path, text.encode())
    return len(text) + len(arrays)


def _samples_of(cells: Sequence[BaselineCell]) -> dict[str, CellSamples]:
    """The arrays of cells, and what tells whose they are."""
    samples = {}
    for cell in cells:
        identity = {name: getattr(cell, name) for name in ("data", "reference", "yardsticks", "version", "n")}
        values = {name: value.samples for name, value in cell.values.items()}
        samples[cell.id.path] = CellSamples(cell.key, cell.network, identity, cell.machine, values)
    return samples
