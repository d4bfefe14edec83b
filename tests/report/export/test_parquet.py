"""``--to parquet``: the table of ``results.frame()`` with real types, and a file that says what it is of."""

import sys

import pandas
import pytest

from bench.cli import run_cli
from bench.exit_codes import ExitCode
from bench.frames import COLUMNS, NUMBERS, values_frame
from bench.gate import results_json
from bench.report.export import parquet
from bench.results import ReferenceResult, Results, SuiteInfo
from tests.report.sample import sample


def measured():
    results = sample().model_copy(deep=True)
    results.suite.data.fingerprint = "cd" * 32
    return results


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "results.json").write_text(results_json(measured()))
    return folder


def test_without_pyarrow_the_extra_is_named(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run_cli(["export", str(run), "--to", "parquet"]) == ExitCode.USAGE
    hint = "package 'pyarrow' is not installed; pip install \"compression-robustness-bench[parquet]\""
    assert capsys.readouterr().err == f"crbench: {hint}\n"
    assert [path.name for path in run.iterdir()] == ["results.json"]


def test_the_file_is_the_frame(run, tmp_path, capsys):
    read_table = pytest.importorskip("pyarrow.parquet", reason="extra parquet").read_table
    assert run_cli(["export", str(run), "--to", "parquet", "-o", str(tmp_path)]) == 0
    file = tmp_path / "values.parquet"
    assert capsys.readouterr().out == f"{file}\n"
    results, table = measured(), read_table(file)
    assert table.column_names == list(COLUMNS)
    types = {field.name: str(field.type) for field in table.schema}
    assert {types[name] for name in NUMBERS} == {"double"}
    assert types["n"] == types["replicate"] == "int64"
    assert {types[name] for name in set(COLUMNS) - {*NUMBERS, "n", "replicate"}} == {"string"}
    wanted = values_frame(results.cells)
    assert len(wanted) > 100
    assert wanted["estimate"].isna().any()
    pandas.testing.assert_frame_equal(table.to_pandas(), wanted, check_exact=True, check_dtype=False)
    metadata = {key.decode(): text.decode() for key, text in table.schema.metadata.items()}
    assert metadata["crbench.suite"] == results.suite.name
    assert metadata["crbench.suite_fingerprint"] == results.suite.fingerprint != ""
    assert metadata["crbench.data_fingerprint"] == results.suite.data.fingerprint != ""
    assert metadata["crbench.version"] == results.run.crbench != ""
    assert len(metadata["crbench.results_sha256"]) == 64


def test_nothing_is_null_and_no_number(tmp_path):
    """An absent number is null, not NaN; a run over all replicates has no number of one."""
    pyarrow = pytest.importorskip("pyarrow", reason="extra parquet")
    from pyarrow.parquet import read_table

    results = sample().model_copy(deep=True)
    results.cells[0].replicate = None
    table = read_table(pyarrow.BufferReader(parquet(results)["values.parquet"]))
    absent = {name: table[name].null_count for name in NUMBERS}
    assert absent == {name: int(values_frame(results.cells)[name].isna().sum()) for name in NUMBERS}
    assert table["replicate"].null_count == len(results.cells[0].values) > 0


def test_a_run_without_cells_has_every_column():
    pyarrow = pytest.importorskip("pyarrow", reason="extra parquet")
    from pyarrow.parquet import read_table

    empty = Results(suite=SuiteInfo(name="none", fingerprint=""), reference=ReferenceResult())
    table = read_table(pyarrow.BufferReader(parquet(empty)["values.parquet"]))
    assert (table.num_rows, table.column_names) == (0, list(COLUMNS))
