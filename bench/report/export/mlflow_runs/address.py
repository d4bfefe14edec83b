"""The address of a tracking server: what may be one, and what lies behind it."""

from __future__ import annotations

from urllib.parse import urlsplit

from bench.errors import UserError


def server_of(uri: str) -> str:
    """The address of a tracking server, checked.

    >>> server_of("http://127.0.0.1:5000/")
    'http://127.0.0.1:5000'

    Raises:
        UserError: it is no address of a server, or holds a password, which errors would show.
    """
    try:
        parts = urlsplit(uri)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        known = False
    if not known:
        right = "give http://HOST:PORT or https://HOST, where mlflow server listens"
        raise UserError.at("--tracking-uri", "is no address of a tracking server", right)
    if parts.username is not None:
        right = "give both in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        raise UserError.at("--tracking-uri", "holds a name or a password", right)
    return uri.rstrip("/")


def unsent_files(place: str, server: str) -> str:
    """Why files are not sent: the server keeps them where nobody named.

    >>> unsent_files("mlflow-artifacts:/1/ab/artifacts", "http://127.0.0.1:5000")
    ''
    >>> unsent_files("s3://bucket/1/ab/artifacts", "http://127.0.0.1:5000")
    'not sent: the server keeps files at s3:, not behind its own address'
    """
    parts, own = urlsplit(place), urlsplit(server)
    if parts.scheme == "mlflow-artifacts" and parts.netloc in ("", own.netloc):
        return ""
    told = f"{parts.scheme}://{parts.netloc}" if parts.scheme == "mlflow-artifacts" else f"{parts.scheme or 'file'}:"
    return f"not sent: the server keeps files at {told}, not behind its own address"


def page_of_run(server: str, experiment: str, run: str) -> str:
    """Where a person sees the run."""
    return f"{server}/#/experiments/{experiment}/runs/{run}"
