"""Results as runs of MLflow: one for the whole, and nested in it one for each variant on each target."""

from bench.report.export.mlflow_runs.address import server_of
from bench.report.export.mlflow_runs.build import mlflow_runs
from bench.report.export.mlflow_runs.failures import failures
from bench.report.export.mlflow_runs.model import MlflowRun, MlflowRuns
from bench.report.export.mlflow_runs.send import Sent, send

__all__ = ["MlflowRun", "MlflowRuns", "Sent", "failures", "mlflow_runs", "send", "server_of"]
