"""The process that opens a pickle: it reads tensors alone, under limits, and imports nothing of this package.

``python -P convert_worker.py CHECKPOINT OUT [KEY]`` prints one JSON line: what was written, or ``error``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

WRAPPERS = ("state_dict", "model_state_dict", "model")
AVERAGES = ("state_dict_ema", "model_ema", "ema_state_dict", "ema")  # of the weights while training
PREFIXES = ("module.", "_orig_mod.")  # of torch's parallel and compiled wrappers
SECONDS = 600
TOO_LARGE = "it needs far more memory than its size says"
ROOM = 1 << 30  # bytes beside the checkpoint's own


class Refused(Exception):
    """Why a checkpoint is not converted."""


def limit(size: int) -> None:
    """Bound memory, processor time and file size, beside what is in use already; POSIX only."""
    try:
        import resource
    except ImportError:
        return
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: SECONDS,
        resource.RLIMIT_FSIZE: 2 * size + (64 << 20),
    }
    status = Path("/proc/self/statm")
    if status.exists():
        in_use = int(status.read_text().split()[0]) * resource.getpagesize()
        wanted[resource.RLIMIT_AS] = in_use + 4 * size + ROOM
    for kind, value in wanted.items():
        hard = resource.getrlimit(kind)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))


def unwrap(loaded: Any, key: str = "") -> tuple[dict[str, torch.Tensor], str]:
    """Names and tensors, and what they were taken out of: the entry of that key, else the one that is known.

    Raises:
        Refused: there is anything else in it.
    """
    if not isinstance(loaded, Mapping):
        raise Refused(f"it holds a {type(loaded).__name__}, not a state dict")
    inside = [name for name in (*WRAPPERS, *AVERAGES) if isinstance(loaded.get(name), Mapping)]
    if key:
        if not isinstance(loaded.get(key), Mapping):
            held = ", ".join(str(name) for name, value in loaded.items() if isinstance(value, Mapping)) or "none"
            raise Refused(f"it holds no state dict {key!r}; there is: {held}")
        inside = [key]
    if len(inside) > 1:
        raise Refused(f"it holds {' and '.join(inside)}: say which with --key, such as --key {inside[0]}")
    state: Mapping[Any, Any] = loaded[inside[0]] if inside else loaded
    words = list(inside)
    if not state:
        raise Refused("it holds no tensor")
    for name, value in state.items():
        check(name, value)
    while prefix := next((item for item in PREFIXES if all(name.startswith(item) for name in state)), ""):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
        words.append(prefix.rstrip("."))
    if not all(state):
        raise Refused("a tensor has no name")
    # tied and expanded tensors become tensors of their own
    return {name: value.detach().clone().contiguous() for name, value in state.items()}, ".".join(words)


def check(name: Any, value: Any) -> None:
    """Raise ``Refused`` unless it is a name and an ordinary tensor."""
    import torch

    if not isinstance(name, str):
        raise Refused(f"an entry is named by a {type(name).__name__}")
    if not isinstance(value, torch.Tensor):
        raise Refused(f"{name!r} is a {type(value).__name__}, not a tensor")
    if value.layout != torch.strided or value.is_quantized or value.is_meta:
        raise Refused(f"{name!r} is a sparse, quantised or empty tensor")


def main(source: str, target: str, key: str = "") -> dict[str, str | int]:
    """Convert a checkpoint and describe the file that was written; a failure is described in ``error``."""
    import pickle

    import torch
    from safetensors.torch import save_file

    size = Path(source).stat().st_size
    limit(size)
    try:
        loaded = torch.load(source, map_location="cpu", weights_only=True)
        state, unwrapped = unwrap(loaded, key)
        save_file(state, target)
    except Refused as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": TOO_LARGE}
    except pickle.UnpicklingError as error:
        return {"error": f"it holds more than tensors: {first(error)}"}
    except Exception as error:  # a damaged file fails in any way
        if "allocate memory" in str(error):
            return {"error": TOO_LARGE}
        return {"error": f"it cannot be read: {first(error)}"}
    count = sum(value.numel() for value in state.values())
    return {"tensors": len(state), "parameters": count, "unwrapped": unwrapped}


def first(error: Exception) -> str:
    """The telling line of torch's long messages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "Unsupported" in line or "WeightsUnpickler error" in line]
    return (telling or lines or [type(error).__name__])[0][:200]


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:4])))
