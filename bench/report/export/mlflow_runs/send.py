"""Runs to an MLflow tracking server: nothing goes anywhere else."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bench.errors import MissingExtra, UserError
from bench.report.export.mlflow_runs.address import page_of_run, unsent_files
from bench.report.export.mlflow_runs.model import MlflowRun, MlflowRuns
from bench.results import Provenance

if TYPE_CHECKING:
    from mlflow import MlflowClient

METRICS_A_REQUEST: Final = 1000
TEXTS_A_REQUEST: Final = 100  # parameters, or tags
COMPLETE: Final = "crbench.export"  # a tag that comes last
SEAL: Final = "crbench.results_sha256"
SILENT: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # else usage figures go to its makers
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
PATIENCE: Final = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}  # by default minutes pass where nobody listens


class Sent(NamedTuple):
    """What was made on the server."""

    url: str  # the page of the run of the whole
    run: str  # its id
    variants: int
    replaced: int  # runs of an export that was cut short, which are deleted now
    artifacts: str  # why files were not sent; empty: they were


def send(
    runs: MlflowRuns, seal: str, origin: Provenance | None, files: Mapping[str, str], server: str, experiment: str
) -> Sent:
    """Make the run of the whole and those nested in it; the run of the same results that is there already is kept.

    Args:
        runs: what they hold.
        seal: the sha256 of the results.
        origin: when they were measured.
        files: texts by name, artifacts of the run of the whole.
        server: its address.
        experiment: its name; made where there is none.

    Raises:
        MissingExtra: MLflow's client is not installed.
        UserError: the results are there already, or the server cannot be reached, refuses or fails.
    """
    os.environ.update(SILENT)
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise MissingExtra("mlflow-skinny", "mlflow") from None
    try:
        client = MlflowClient(tracking_uri=server)
        return _send(client, runs, seal, origin, files, server, _experiment(client, experiment))
    except (MlflowException, OSError) as error:  # requests' errors are OSErrors
        raise UserError.at(server, f"MLflow: {error}", "see that mlflow server listens there and takes runs") from error


def _send(
    client: MlflowClient, runs: MlflowRuns, seal: str, origin: Provenance | None, files: Mapping[str, str],
    server: str, experiment: str,
) -> Sent:  # fmt: skip
    replaced = _replaced(client, experiment, seal, server)
    begun, ended = (
        _milliseconds(moment) for moment in (("", "") if origin is None else (origin.started, origin.finished))
    )
    whole = client.create_run(experiment, start_time=begun, tags=_first(runs.whole, seal), run_name=runs.whole.name)
    key = whole.info.run_id
    try:
        for variant in runs.variants:
            tags = {"mlflow.parentRunId": key}
            nested = client.create_run(experiment, start_time=begun, tags=tags, run_name=variant.name)
            _log(client, nested.info.run_id, variant, ended)
            client.set_terminated(nested.info.run_id, "FAILED" if variant.failed else "FINISHED", ended)
        _log(client, key, runs.whole, ended)
        unsent = unsent_files(whole.info.artifact_uri, server)
        for name, text in {} if unsent else files.items():
            client.log_text(key, text, name)
        if unsent:
            client.set_tag(key, "crbench.artifacts", unsent)
        client.set_terminated(key, "FAILED" if runs.whole.failed else "FINISHED", ended)
        client.set_tag(key, COMPLETE, "complete")
    except BaseException:
        _give_up(client, key)
        raise
    return Sent(page_of_run(server, experiment, key), key, len(runs.variants), replaced, unsent)


def _first(whole: MlflowRun, seal: str) -> dict[str, str]:
    """What the next export must find, however early this one ends."""
    return {SEAL: seal, "crbench.level": whole.tags["crbench.level"], COMPLETE: "unfinished"}


def _give_up(client: MlflowClient, run: str) -> None:
    with suppress(Exception):  # the first error is the one to tell
        client.set_terminated(run, "FAILED")


def _experiment(client: MlflowClient, name: str) -> str:
    known = client.get_experiment_by_name(name)
    return str(client.create_experiment(name) if known is None else known.experiment_id)


def _replaced(client: MlflowClient, experiment: str, seal: str, server: str) -> int:
    """Refuse results that are there; delete what an export that was cut short left, and count its runs."""
    found = list(_search(client, experiment, f"tags.`{SEAL}` = '{seal}' and tags.`crbench.level` = 'run'"))
    for run in found:
        if run.data.tags.get(COMPLETE) == "complete":
            page = page_of_run(server, experiment, run.info.run_id)
            right = f"delete it there to send it anew: mlflow runs delete --run-id {run.info.run_id}"
            raise UserError.at(page, "is this very run already, and nothing was sent", right)
    gone = 0
    for run in found:
        nested = _search(client, experiment, f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
        for old in (*nested, run):
            client.delete_run(old.info.run_id)
            gone += 1
    return gone


def _search(client: MlflowClient, experiment: str, query: str) -> Iterator[Any]:
    token: str | None = None
    while True:
        page = client.search_runs([experiment], query, page_token=token)
        yield from page
        if not (token := page.token):
            return


def _log(client: MlflowClient, run: str, of: MlflowRun, when: int) -> None:
    from mlflow.entities import Metric, Param, RunTag

    metrics = [Metric(name, float(figure), when, 0) for name, figure in of.metrics.items()]
    params = [Param(name, text) for name, text in of.params.items()]
    tags = [RunTag(name, text) for name, text in of.tags.items()]
    for start in range(0, len(metrics), METRICS_A_REQUEST):
        client.log_batch(run, metrics=metrics[start : start + METRICS_A_REQUEST])
    for start in range(0, len(params), TEXTS_A_REQUEST):
        client.log_batch(run, params=params[start : start + TEXTS_A_REQUEST])
    for start in range(0, len(tags), TEXTS_A_REQUEST):
        client.log_batch(run, tags=tags[start : start + TEXTS_A_REQUEST])


def _milliseconds(moment: str) -> int:
    """Since the epoch; now where a run does not record the moment.

    >>> _milliseconds("1970-01-01T00:00:02+00:00")
    2000
    """
    try:
        when = datetime.fromisoformat(moment)
    except ValueError:
        when = datetime.now(tz=UTC)
    return round(when.timestamp() * 1000)
