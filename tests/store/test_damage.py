"""Seeded damage to store, results, arrays and baselines: never a traceback, a hang, or another number without a word.

The oracle is the undamaged run. Half of the cases change one byte. ``CRBENCH_FUZZ`` multiplies the number of cases.
"""

import contextlib
import io
import json
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from bench.cli import run_cli
from bench.errors import UserError
from bench.gate import load_baseline, load_run
from bench.store.place import MARKER
from bench.store.samples import to_bytes

CASES = 20 * int(os.environ.get("CRBENCH_FUZZ", "1"))  # of each shard
SECONDS = 60  # for what takes a tenth of one

SUITE = """
name = "small"
[data]
loader = "npz"
path = "x.npz"
bounds = [0.0, 1.0]
evaluation = 40
calibration = 8
[reference]
model = "mlp"
hidden = [4]
recipe = { epochs = 1 }
[yardstick]
retrained = 4
[[target]]
name = "torch"
[[variant]]
name = "noise"
steps = [{ use = "weight-noise", sigma = 0.3 }]
stages = true
[[metric]]
use = "fidelity.predictions"
gate = [{ value = "flip_rate", max_change = 0.5 }]
[[metric]]
use = "fidelity.accuracy"
gate = [{ value = "accuracy", max_harm = 0.5 }, { value = "accuracy", max_harm = 0.9, per = "class" }]
"""


class Hang(BaseException):
    """Nothing in the program catches it."""


def call(*arguments):
    """Exit code, standard output and standard error of a command in this process."""

    def late(*_):
        raise Hang

    out, err = io.StringIO(), io.StringIO()
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run_cli(list(arguments))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return code, out.getvalue(), err.getvalue()


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def put_back(folder, files):
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a suite that was run twice, with two strengths of noise, and a baseline of the first run."""
    folder = tmp_path_factory.mktemp("damage")
    rng = np.random.default_rng(0)
    x = rng.random((120, 1, 4, 4)).astype(np.float32)
    np.savez(folder / "x.npz", x=x, y=((x - 0.5).reshape(120, -1) @ rng.normal(size=(16, 3))).argmax(axis=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "small.toml").write_text(SUITE.replace("0.3", "0.2"))
        assert call("run", "small.toml", "--quiet", "--out", "before")[0] == 0
        assert call("baseline", "accept", "before", "-o", "baseline.json")[0] == 0
        shutil.rmtree(folder / ".crbench")
        (folder / "small.toml").write_text(SUITE)
        assert call("run", "small.toml", "--quiet", "--out", "now")[0] == 0
    return folder


def digits(content):
    """Places of digits of JSON numbers, and of checksums, in a text."""
    seals = [range(*found.span(1)) for found in re.finditer(rb'"(?:sha256|blob)": ?\[?"([0-9a-f]{64})"', content)]
    numbers = [found.start() for found in re.finditer(rb"(?<=[ :\[,.\d])\d(?=[\d.,\]}\n e])", content)]
    return numbers, [place for seal in seals for place in seal]


def one_byte(name, content, rng):
    """The content with one other byte: in the header, in a number, in a checksum, or anywhere."""
    changed = bytearray(content)
    where = rng.choice(["header", "number", "checksum", "anywhere"])
    numbers, seals = digits(content) if name.endswith(".json") else ([], [])
    if where == "number" and numbers:
        place = int(rng.choice(numbers))
        changed[place] = ord(str((int(chr(changed[place])) + int(rng.integers(1, 10))) % 10))
        return bytes(changed)
    if where == "checksum" and seals:
        place = int(rng.choice(seals))
        changed[place] = ord("0123456789abcdef"[(int(chr(changed[place]), 16) + int(rng.integers(1, 16))) % 16])
        return bytes(changed)
    place = int(rng.integers(min(len(content), 128) if where == "header" else len(content)))
    changed[place] ^= int(rng.integers(1, 256))
    return bytes(changed)


def damage(folder, rng):
    """Damage one file of the folder; answers what was done, in words."""
    names = sorted(contents(folder))
    name = str(rng.choice(names))
    path = folder / name
    content = path.read_bytes()
    junk = rng.bytes(int(rng.integers(1, 200)))
    cut = int(rng.integers(len(content) + 1))
    if rng.random() < 0.5:
        path.write_bytes(one_byte(name, content, rng))
        return f"one byte of {name}"
    how = str(rng.choice(["cut", "delete", "swap", "insert", "junk", "hole", "folder", "pipe", "more", "twice"]))
    if how == "cut":
        path.write_bytes(content[:cut])
    elif how == "delete":
        path.unlink()
    elif how == "swap":
        other = str(rng.choice([item for item in names if Path(item).suffix == path.suffix]))
        path.write_bytes((folder / other).read_bytes())
        (folder / other).write_bytes(content)
    elif how == "insert":
        path.write_bytes(content[:cut] + junk + content[cut:])
    elif how == "junk":
        path.write_bytes(junk)
    elif how == "hole":
        path.write_bytes(content[:cut] + bytes(len(content[cut : cut + 64])) + content[cut + 64 :])
    elif how in ("folder", "pipe"):
        path.unlink()
        path.mkdir() if how == "folder" else os.mkfifo(path)
    elif how == "more":
        path.with_name(str(rng.choice(["notes.txt", "0" * 64 + ".json", ".x.part", "x" * 70]))).write_bytes(junk)
    else:
        path.write_bytes(content + content)
    return f"{how} {name}"


def numbers_of(folder):
    """Everything measured: all but times and what was reused."""
    results = json.loads((folder / "results.json").read_text())
    cells = [{k: v for k, v in cell.items() if k not in ("seconds", "cached")} for cell in results["cells"]]
    stages = [metric for variant in results["variants"] for stage in variant["stages"] for metric in stage["metrics"]]
    fresh = [cell for cell in [*results["cells"], *stages] if not cell["cached"]]
    for metric in stages:
        del metric["cached"]
    return json.dumps([cells, results["variants"], results["verdict"]], sort_keys=True), len(fresh)


def told(code, err, case):
    """A user's mistake or an unreadable file is one line."""
    assert code == 2, (case, code, err)
    assert len(err.splitlines()) == 1, (case, err)
    assert err.startswith("crbench: "), (case, err)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


KEPT = {"all": (), "observations": ("cells", "families"), "networks": ("cells", "families", "observations")}


@pytest.mark.parametrize("shard", range(6))
def test_a_damaged_store_costs_work_never_another_number(home, tmp_path, monkeypatch, shard):
    rng = np.random.default_rng([11, shard])
    monkeypatch.chdir(home)
    whole = contents(home / ".crbench")
    assert MARKER in whole
    expected, _ = numbers_of(home / "now")
    (arrays,) = [contents(home / "now")["arrays.npz"]]
    store, run = tmp_path / "store", ("run", "small.toml", "--quiet", "--store", str(tmp_path / "store"))
    refused = said = 0
    for number in range(CASES):
        kept = str(rng.choice(list(KEPT)))
        put_back(store, {name: item for name, item in whole.items() if name.partition("/")[0] not in KEPT[kept]})
        case = f"shard {shard}, case {number}, {kept} kept: {damage(store, rng)}"
        code, _, err = call("gc", "--store", str(store), "--dry-run")
        if code:
            told(code, err, case)
        code, _, err = call(*run, "--gate", "--out", str(tmp_path / "out"))
        if code:
            refused += 1
            told(code, err, case)
            continue
        found, fresh = numbers_of(tmp_path / "out")
        assert found == expected, (case, err)
        assert contents(tmp_path / "out")["arrays.npz"] == arrays, case
        assert "Traceback" not in err
        said += "counted as absent" in err
        if kept == "all" and fresh and not re.search(r"delete \S+\.json", case):
            assert "counted as absent" in err, (case, fresh)
        if number % 3 == 0:
            code, _, err = call(*run, "--out", str(tmp_path / "out"))
            in_the_way = re.search(r"(folder|pipe) ", case)
            assert code == 0, (case, err)
            assert not err or in_the_way, f"{case}: it did not heal: {err}"
            found, fresh = numbers_of(tmp_path / "out")
            assert found == expected, case
            assert not fresh or in_the_way, case
    assert refused <= CASES // 10
    assert said >= CASES // 5  # else nothing was seen


def all_that_is_read():
    """Every figure and array of both runs and of the baseline, as later commands see them."""
    runs = [load_run(folder) for folder in ("before", "now")]
    texts = [run.results.model_dump_json(exclude={"sha256"}) for run in runs]
    lost = [run.path for run in runs if run.samples is None]
    if lost:
        raise UserError.at(str(lost[0]), "its arrays are gone, as every command that needs them says")
    arrays = [to_bytes(run.samples) for run in runs]
    return texts, arrays, load_baseline("baseline.json").model_dump_json()


@pytest.mark.parametrize("shard", range(12))
@pytest.mark.parametrize("file", ["results.json", "arrays.npz", "baseline.json", "baseline.npz"])
def test_a_damaged_run_or_baseline_is_refused_or_says_the_same(home, tmp_path, monkeypatch, file, shard):
    rng = np.random.default_rng([12, shard, len(file)])
    monkeypatch.chdir(tmp_path)
    whole = {name: item for name, item in contents(home).items() if not name.startswith(".crbench/")}
    commands = [("gate", "now"), ("gate", "now", "--baseline", "baseline.json"), ("compare", "before", "now")]
    place = Path("work")
    put_back(place, whole)
    monkeypatch.chdir(place)
    expected = [call(*command, "--json") for command in commands]
    assert [code for code, _, _ in expected] == [0, 0, 0]
    held = all_that_is_read()
    names = [name for name in whole if Path(name).name == file]
    refused = 0
    for number in range(CASES // 2):
        name = str(rng.choice(names))
        path = Path(name)
        if rng.random() < 0.5:
            path.write_bytes(one_byte(name, whole[name], rng))
            case = f"one byte of {name}"
        else:
            other = {"results.json": "before/results.json", "arrays.npz": "before/arrays.npz"}.get(file, "small.toml")
            cut, junk = int(rng.integers(len(whole[name]))), rng.bytes(int(rng.integers(1, 200)))
            changed = {
                "cut": whole[name][:cut],
                "insert": whole[name][:cut] + junk + whole[name][cut:],
                "lines": b"\n".join(line for line in whole[name].split(b"\n") if rng.random() > 0.02),
                "junk": junk,
                "another's": whole[other if name != other else f"now/{file}"],
                "lost": None,
            }
            case = str(rng.choice(list(changed)))
            path.unlink()
            if changed[case] is not None:
                path.write_bytes(changed[case])
        for command, (_, output, _) in zip(commands, expected, strict=True):
            code, out, err = call(*command, "--json")
            if out != output or code:
                refused += 1
                told(code, err, f"{file}, shard {shard}, case {number}: {case}, {command}")
        with contextlib.suppress(UserError):
            assert all_that_is_read() == held, f"{file}, shard {shard}, case {number}: {case}"
        path.write_bytes(whole[name])
    assert refused >= CASES // 4
