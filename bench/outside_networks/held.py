"""Networks that the caller holds in memory: a torch module, the bytes of an ONNX file, or a function of arrays."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

from bench.identity import token_of
from bench.networks.module_state import module_state

HeldKind: TypeAlias = Literal["module", "onnx", "function"]


@dataclass(frozen=True, eq=False)
class Held:
    """A network in memory, by strong reference, and what stands for it in keys.

    The bytes of an ONNX file are all there is of it. A module is its state, which is hashed when it is taken, and its
    code, for which ``key`` stands; without a key the module's own object does, so that nothing measured of it is used
    again in another process. Of a function nothing can be hashed: without a key it is another one at each taking.
    """

    content: Any
    kind: HeldKind
    title: str
    key: str = ""
    token: str = ""  # of a function without a key, by somebody who knows that it stays the same for a while

    @property
    def reusable(self) -> bool:
        """Whether what is measured of it may be used again in another process."""
        return self.kind == "onnx" or bool(self.key)

    @cached_property
    def parts(self) -> dict[str, Any]:
        """What enters keys; of a module the state at the first look."""
        if self.kind == "function":
            return {"function": self.key or self.token or uuid.uuid4().hex}
        return {
            "module": self.key or token_of(self.content),
            "state": module_state(self.content, named=bool(self.key)),
        }
