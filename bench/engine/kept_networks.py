"""Networks that a step trained, kept in a file: weights, and what the step says of the structure."""

from __future__ import annotations

import json
from pathlib import Path

from bench.compression.base import Step
from bench.errors import UserError
from bench.networks.network import Network

WHERE = "reference.weights"


def kept_bytes(network: Network) -> bytes:
    """A safetensors file of a torch network after a step, with the step's own record in its header."""
    from safetensors.torch import load, save

    from bench.compression.restoring import to_bytes

    told = json.dumps(network.record["record"], sort_keys=True, allow_nan=False)
    return save(load(to_bytes(network)), metadata={"record": told})


def load_kept(path: Path, step: Step, kind: str, parent: Network) -> Network:
    """The network after a step as it was kept; the parent says what it was made of.

    Raises:
        UserError: it is no such file, the record is missing, or weights do not fit the structure.
    """
    import safetensors
    from safetensors.torch import load

    from bench.compression.restoring import restore
    from bench.outside_networks.checkpoint import check_finite

    right = "write it anew with: crbench weights SUITE --variants"
    try:
        blob = path.read_bytes()
        with safetensors.safe_open(path, "pt") as opened:
            told = (opened.metadata() or {})["record"]
        check_finite(load(blob).items(), WHERE)
        record = {**step.canonical(), "record": json.loads(told), "kind": kind, "of": parent.record}
        return restore(json.loads(json.dumps(record)), blob)
    except UserError:
        raise
    except Exception as error:  # whatever a file may hold that does not fit together
        what = (
            f"{path.name} is no network after {step.name}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        )
        raise UserError.at(WHERE, what, right) from error
