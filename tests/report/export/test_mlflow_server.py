"""``--to mlflow`` against a real tracking server on loopback, read back by its REST interface alone.

``tox run -e exports`` has what this needs; it is skipped where the server is not installed.
"""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.exit_codes import ExitCode
from bench.gate import results_json
from bench.report.export.mlflow_runs import mlflow_runs
from tests.report.sample import hostile, sample

NEEDED = ("mlflow", "flask", "sqlalchemy")  # the server comes with mlflow, not with mlflow-skinny
pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in NEEDED), reason="extra mlflow, and mlflow with its server"
)
PATIENCE = 240  # seconds in which a server that makes its tables must answer
ROOT = Path(__file__).parents[3]
WATCHED = """
import json, sys
seen = []
def hook(event, given):
    if event == "socket.connect" and isinstance(given[1], tuple):
        seen.append([event, *given[1][:2]])
    elif event == "socket.getaddrinfo":
        seen.append([event, given[0] if isinstance(given[0], str | None) else given[0].decode(), given[1]])
    elif event == "pickle.find_class":
        seen.append([event, *given])
sys.addaudithook(hook)
from bench.cli import run_cli
code = run_cli(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    json.dump(seen, file)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/runs.db", "--artifacts-destination", str(folder / "files")]
    settings = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **settings}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _await(process, f"http://127.0.0.1:{port}", folder / "log")
        yield SimpleNamespace(url=f"http://127.0.0.1:{port}", port=port)
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its workers with it
        process.wait()


def _await(process, url, log):
    for _ in range(2 * PATIENCE):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"the tracking server does not answer: {log.read_text()[-2000:]}")


def ask(server, path, body=None):
    """JSON of the server's own interface; no client of MLflow."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.url}/api/2.0/{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def runs_of(server, name, view="ACTIVE_ONLY"):
    """The runs of an experiment: the whole ones, and those nested in them by their name."""
    known = ask(server, "mlflow/experiments/search", {"max_results": 1000})["experiments"]
    [place] = [item["experiment_id"] for item in known if item["name"] == name]
    body = {"experiment_ids": [place], "max_results": 1000, "run_view_type": view}
    found = ask(server, "mlflow/runs/search", body).get("runs", [])
    for run in found:
        run.update({kind: {i["key"]: i["value"] for i in run["data"].get(kind, [])} for kind in FIELDS})
    whole = [run for run in found if "mlflow.parentRunId" not in run["tags"]]
    return whole, [run for run in found if "mlflow.parentRunId" in run["tags"]]


FIELDS = ("tags", "params", "metrics")


def export(folder, *given, watch=None):
    """The command in a process and a folder of its own, as no continuous integration: there MLflow asks nobody else."""
    program = [sys.executable, "-m", "bench"] if watch is None else [sys.executable, "-c", WATCHED, str(watch)]
    known = {
        "CI",
        "GITHUB_ACTIONS",
        "GITLAB_CI",
        "PYTEST_CURRENT_TEST",
        "MLFLOW_TRACKING_URI",
        "MLFLOW_DISABLE_TELEMETRY",
    }
    settings = {name: text for name, text in os.environ.items() if name not in known}
    settings |= {"PYTHONPATH": str(ROOT)}
    command = [*program, "export", str(folder), "--to", "mlflow", *given]
    (folder / "here").mkdir(exist_ok=True)
    return subprocess.run(command, cwd=folder / "here", env=settings, capture_output=True, text=True, timeout=300)


def written(folder, results):
    for cell in results.cells:
        cell.details = {}  # of the hostile sample, which holds what no file can
    (folder / "results.json").write_text(results_json(results))
    return folder


@pytest.fixture(scope="module")
def sent(server, tmp_path_factory):
    """The sample, in which one cell failed, sent once while its connections were watched."""
    folder = written(tmp_path_factory.mktemp("run"), sample().model_copy(deep=True))
    done = export(folder, "--tracking-uri", server.url, "--with-errors", watch=folder / "watched.json")
    assert (done.returncode, done.stderr) == (0, "")
    return SimpleNamespace(folder=folder, said=done.stdout, watched=json.loads((folder / "watched.json").read_text()))


def test_the_server_holds_every_figure_parameter_and_tag(server, sent):
    wanted = mlflow_runs(sample())
    [whole], variants = runs_of(server, sample().suite.name)
    assert len(variants) == len(wanted.variants) > 8
    held = {run["info"]["run_name"]: run for run in variants}
    for told in wanted.variants:
        run = held[told.name]
        assert run["tags"]["mlflow.parentRunId"] == whole["info"]["run_id"]
        assert run["metrics"] == told.metrics  # all digits
        assert run["params"] == told.params
        assert run["info"]["status"] == ("FAILED" if told.failed else "FINISHED")
    failed = held["control-noise on torch"]
    assert failed["tags"]["attribution.ig steps 50/status"].startswith("error: RuntimeError: ")
    assert not [name for name in failed["metrics"] if name.startswith("attribution.ig")]
    assert whole["params"] == wanted.whole.params
    assert whole["tags"]["crbench.export"] == "complete"
    assert whole["tags"]["crbench.error 1"].startswith("control-noise/torch/attribution.ig")
    assert sent.said.strip().endswith(f"/runs/{whole['info']['run_id']}")


def test_the_files_of_the_run_are_artifacts(server, sent):
    [whole], _ = runs_of(server, sample().suite.name)
    place = whole["info"]["artifact_uri"].partition(":/")[2]
    base = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{place}"
    with urllib.request.urlopen(f"{base}/results.json", timeout=60) as answer:
        assert json.loads(answer.read()) == json.loads((sent.folder / "results.json").read_text())
    with urllib.request.urlopen(f"{base}/index.html", timeout=60) as answer:
        assert answer.read().startswith(b"<!DOCTYPE html>")


def test_nobody_else_is_asked_and_no_pickle_is_read(server, sent):
    places = {tuple(place) for event, *place in sent.watched if event.startswith("socket.")}
    assert places
    assert {(host, int(port or server.port)) for host, port in places} == {("127.0.0.1", server.port)}
    assert [event for event in sent.watched if event[0] == "pickle.find_class"] == []
    assert list((sent.folder / "here").iterdir()) == []


def test_what_is_there_is_refused_and_what_was_cut_short_is_replaced(server, sent):
    name = sample().suite.name
    again = export(sent.folder, "--tracking-uri", server.url, "--with-errors")
    [whole], variants = runs_of(server, name)
    key = whole["info"]["run_id"]
    assert (again.returncode, again.stdout) == (ExitCode.USAGE, "")
    assert f"/runs/{key}: is this very run already, and nothing was sent; delete it there" in again.stderr
    assert len(again.stderr.splitlines()) == 1
    ask(server, "mlflow/runs/set-tag", {"run_id": key, "key": "crbench.export", "value": "unfinished"})
    anew = export(sent.folder, "--tracking-uri", server.url, "--with-errors")
    assert anew.returncode == 0
    assert f"cut short: its {1 + len(variants)} runs are deleted" in anew.stderr
    [other], nested = runs_of(server, name)
    assert other["info"]["run_id"] != key
    assert len(nested) == len(variants)
    assert {run["tags"]["mlflow.parentRunId"] for run in nested} == {other["info"]["run_id"]}
    assert len(runs_of(server, name, "DELETED_ONLY")[1]) == len(variants)


def test_hostile_names_are_taken(server, tmp_path):
    results = hostile()
    written(tmp_path, results)
    done = export(tmp_path, "--tracking-uri", server.url, "--with-errors", "--experiment", "hostile")
    assert (done.returncode, done.stderr) == (0, "")
    [_], variants = runs_of(server, "hostile")
    wanted = {told.name: told.metrics for told in mlflow_runs(results).variants}
    assert {run["info"]["run_name"]: run["metrics"] for run in variants} == wanted


def test_nobody_listens(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # bound, and no ear: nobody else gets the port
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = export(written(tmp_path, sample().model_copy(deep=True)), "--tracking-uri", url, "--with-errors")
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert done.stderr.splitlines()[-1].startswith(f"crbench: {url}: MLflow: ")
    assert "Traceback" not in done.stderr
