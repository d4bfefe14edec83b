"""The content of a torch module as it is now: weights, buffers, settings and hooks, in one hash."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bench.identity import token_of

if TYPE_CHECKING:
    import torch
    from torch import nn

SKIPPED = frozenset({"training"})  # a copy in evaluation mode is measured


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...


def module_state(module: nn.Module, *, named: bool = False) -> str:
    """sha256 of all that decides what a module computes, as far as Python shows it: equal only for an unchanged one.

    Tensors count by their content, plain values (numbers, texts, settings in containers and objects) likewise,
    functions and hooks as the objects of this process that they are. What cannot be looked into is new each time.

    Args:
        module: any module; it is not changed.
        named: somebody vouches for the code: functions and what cannot be looked into count by their names alone, so
            that the hash is the same in another process.

    >>> from torch import nn
    >>> layer = nn.Linear(2, 1)
    >>> before = module_state(layer)
    >>> before == module_state(layer)
    True
    >>> layer.weight.data += 1
    >>> before == module_state(layer)
    False
    """
    digest = hashlib.sha256()
    _Feeding(digest, named).module(module)
    return digest.hexdigest()


class _Feeding:
    """Puts values into a hash; what leads back to itself is named by its number."""

    def __init__(self, digest: _Digest, named: bool) -> None:
        self.digest = digest
        self.named = named
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []  # so that no id is used twice while it lasts

    def text(self, *words: object) -> None:
        """Words, with their lengths, so that no two sequences read alike."""
        for word in words:
            data = str(word).encode("utf-8", "backslashreplace")
            self.digest.update(b"%d:" % len(data) + data)

    def module(self, module: nn.Module) -> None:
        """A module, its attributes, and those inside it."""
        import torch

        self.text("module", _name(type(module)))
        if isinstance(module, torch.jit.ScriptModule):
            self.text(module.inlined_graph)
            self.value(dict(module.state_dict()))
            return
        self.value({name: value for name, value in vars(module).items() if name not in SKIPPED})
        if "forward" in vars(type(module)):
            self.code(vars(type(module))["forward"])

    def value(self, value: Any) -> None:
        """A value of any type, once: a second sight of the same object is its number alone."""
        import torch

        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            self.text(type(value).__name__, repr(value))
        elif isinstance(value, torch.dtype | torch.device | torch.Size | np.dtype | np.generic | range | slice):
            self.text(repr(value))
        elif isinstance(value, tuple):  # which objects share one is Python's affair
            self.inside(value)
        elif id(value) in self.seen:
            self.text("again", self.seen[id(value)])
        else:
            self.seen[id(value)] = len(self.seen)
            self.kept.append(value)
            self.inside(value)

    def inside(self, value: Any) -> None:
        """A tensor, array, container, module, function or object, with all it holds."""
        import torch

        if isinstance(value, torch.Tensor):
            self.tensor(value)
        elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
            self.text("array", value.dtype.str, value.shape)
            self.digest.update(np.ascontiguousarray(value).tobytes())
        elif isinstance(value, Mapping):
            self.text("mapping", len(value))
            for key, item in value.items():
                self.value(key)
                self.value(item)
        elif isinstance(value, list | tuple):
            self.text(type(value).__name__, len(value))
            for item in value:
                self.value(item)
        elif isinstance(value, set | frozenset):
            self.text("set", *sorted(map(repr, value)))
        elif isinstance(value, torch.nn.Module):
            self.module(value)
        elif isinstance(value, type | FunctionType | BuiltinFunctionType):
            self.code(value)
        elif hasattr(value, "__dict__"):
            self.text("object", _name(type(value)))
            self.value(dict(vars(value)))
            for part in ("func", "args", "keywords", "__self__", "__func__"):  # of partials and bound methods
                if hasattr(value, part):
                    self.value(getattr(value, part))
        elif hasattr(value, "__func__"):
            self.value(value.__func__)
            self.value(value.__self__)
        else:
            self.text("opaque", _name(type(value)), "" if self.named else uuid.uuid4().hex)

    def code(self, code: Any) -> None:
        """A function or class: the object that it is, or its name where somebody vouches for it."""
        self.text("code", _name(code), "" if self.named else token_of(code))

    def tensor(self, tensor: torch.Tensor) -> None:
        """A tensor by its type, shape and content."""
        import torch

        self.text("tensor", tensor.dtype, tuple(tensor.shape))
        try:
            plain = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            self.digest.update(plain.numpy().tobytes())
        except (RuntimeError, TypeError, NotImplementedError):  # sparse, quantised, lazy, on the meta device
            self.text("" if self.named and tensor.device.type == "meta" else uuid.uuid4().hex)


def _name(code: Any) -> str:
    return f"{getattr(code, '__module__', '')}.{getattr(code, '__qualname__', type(code).__name__)}"
