"""Reading weights without ever unpickling: safetensors only, checked before they are used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from bench.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

PICKLE_SUFFIXES = frozenset({".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt"})
WRAPPERS: Final = ("module.", "_orig_mod.", "model.", "state_dict.")
T = TypeVar("T")
ADVICE = "convert it to safetensors with: crbench convert {}"


def existing_file(path: Path, where: str) -> Path:
    """The path, or ``UserError`` where there is no such file."""
    if not path.is_file():
        what = f"{str(path)!r} is a folder" if path.is_dir() else f"no file {str(path)!r}"
        raise UserError.at(where, what, "give the path of a file, relative to the suite or the current folder")
    return path


def refuse_pickle(path: Path, head: bytes, where: str) -> None:
    """Raise ``UserError`` for what torch.save or pickle writes, by its first bytes or its suffix."""
    pickled = head[:1] == b"\x80" and len(head) > 1 and 2 <= head[1] <= 5
    zipped = head[:4] == b"PK\x03\x04"
    if pickled or zipped or path.suffix.lower() in PICKLE_SUFFIXES:
        what = f"{str(path)!r} is a pickle, which can run code when it is read"
        raise UserError.at(where, what, ADVICE.format(path.name))


def load_checkpoint(module: nn.Module, path: Path, where: str) -> None:
    """Load a safetensors file into the module, strictly.

    Raises:
        UserError: no such file, a pickle, no safetensors, missing or extra keys, wrong shapes, NaN or infinite values.

    Prefixes that wrappers put before every key are taken off where the rest is the network's.
    """
    import safetensors
    from safetensors.torch import load

    blob = existing_file(path, where).read_bytes()
    # an eight-byte length comes first in safetensors, so its first byte may look like a pickle's
    if path.suffix.lower() != ".safetensors" or blob[8:9] != b"{":
        refuse_pickle(path, blob[:8], where)
    try:
        state = load(blob)
    except (safetensors.SafetensorError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError.at(where, f"{str(path)!r} is no safetensors file: {reason}", "write it anew") from None
    state = without_wrappers(state, module.state_dict())
    make_lazy_parameters(module, state)
    expected = module.state_dict()
    _check_keys(expected, state, where)
    for name, value in expected.items():
        if state[name].shape != value.shape:
            what = f"{name!r} has shape {tuple(state[name].shape)}, the network has {tuple(value.shape)}"
            raise UserError.at(where, what, "give the checkpoint of this very network")
    check_finite(state.items(), where)
    module.load_state_dict(state, strict=True)


def without_wrappers(state: Mapping[str, T], expected: Iterable[str]) -> dict[str, T]:
    """The state without ``module.``, ``_orig_mod.``, ``model.`` or ``state_dict.`` before every key, one or several.

    Only where the keys are the network's then; else the state as it is.

    >>> without_wrappers({"module._orig_mod.a": 1}, ["a"])
    {'a': 1}
    >>> without_wrappers({"model.a": 1, "loss.b": 2}, ["a"])
    {'model.a': 1, 'loss.b': 2}
    """
    wanted, bare = set(expected), dict(state)
    while set(bare) != wanted:
        prefix = next((item for item in WRAPPERS if bare and all(key.startswith(item) for key in bare)), None)
        if prefix is None:
            return dict(state) if not _lazily(set(bare), wanted) else bare
        bare = {key.removeprefix(prefix): value for key, value in bare.items()}
    return bare


def _lazily(found: set[str], wanted: set[str]) -> bool:
    """Whether the network's keys are all there, beside others that may appear while loading."""
    return bool(wanted) and wanted <= found


def make_lazy_parameters(module: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Let layers of brevitas make the parameters that a checkpoint has and that appear only while it is loaded."""
    known = module.state_dict()
    lazy = any(type(part).__module__.startswith("brevitas.") for part in module.modules())
    if not lazy or set(state) <= set(known):
        return
    if all(state[name].shape == value.shape for name, value in known.items() if name in state):
        module.load_state_dict(state, strict=False)


def check_finite(tensors: Iterable[tuple[str, torch.Tensor]], where: str) -> None:
    """Raise ``UserError`` naming the tensors that hold NaN or infinite values."""
    bad = [name for name, value in tensors if value.is_floating_point() and not value.isfinite().all()]
    if bad:
        raise UserError.at(where, f"NaN or infinite weights in {named(bad)}", "give finite weights")


def _check_keys(expected: Iterable[str], found: Iterable[str], where: str) -> None:
    missing, extra = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or extra:
        parts = [f"missing {named(missing)}" if missing else "", f"extra {named(extra)}" if extra else ""]
        what = "the keys differ from the network's: " + "; ".join(part for part in parts if part)
        raise UserError.at(where, what, "give the checkpoint of this very network")


def named(names: list[str]) -> str:
    """The first three names, and how many more.

    >>> named(["a", "b", "c", "d"])
    "'a', 'b', 'c' and 1 more"
    """
    shown = ", ".join(repr(name) for name in names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")
