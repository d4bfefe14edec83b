"""Results as one parquet table with real types: a line a value, of pyarrow."""

from __future__ import annotations

import io

from bench.errors import MissingExtra
from bench.frames import COLUMNS, NUMBERS, value_rows
from bench.results import Results

COUNTS = ("n", "replicate")


def parquet(results: Results) -> dict[str, bytes]:
    """``values.parquet``: the columns of ``RunResults.frame()``; float64, int64 or string, null where there is nothing.

    The metadata of its schema names crbench, the suite and what fingerprints its numbers.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow.parquet import write_table
    except ImportError:
        raise MissingExtra("pyarrow", "parquet") from None
    types = {**dict.fromkeys(NUMBERS, pyarrow.float64()), **dict.fromkeys(COUNTS, pyarrow.int64())}
    fields = [(name, types.get(name, pyarrow.string())) for name in COLUMNS]
    schema = pyarrow.schema(fields, metadata=origin(results))
    out = io.BytesIO()
    write_table(pyarrow.Table.from_pylist(list(value_rows(results.cells)), schema=schema), out)
    return {"values.parquet": out.getvalue()}


def origin(results: Results) -> dict[str, str]:
    """What the numbers are of, by the names in which the metadata has it.

    >>> from bench.results import ReferenceResult, SuiteInfo
    >>> named = origin(Results(suite=SuiteInfo(name="tiny", fingerprint="ab12"), reference=ReferenceResult()))
    >>> named["crbench.suite"], named["crbench.suite_fingerprint"]
    ('tiny', 'ab12')
    """
    data, run = results.suite.data, results.run
    return {
        "crbench.version": (run and run.crbench) or "",
        "crbench.suite": results.suite.name,
        "crbench.suite_fingerprint": results.suite.fingerprint,
        "crbench.data_fingerprint": "" if data is None else data.fingerprint,
        "crbench.results_sha256": results.sha256,
    }
