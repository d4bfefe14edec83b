"""Networks that the caller holds in memory: a torch module, the bytes of an ONNX file, or a function of arrays."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from bench.identity import token_of
from bench.networks.module_state import module_state

HeldKind: TypeAlias = Literal["module", "onnx", "function"]


@dataclass(frozen=True, eq=False)
class Held:
    """A network in memory, by strong reference, and what stands for it in keys.

    The bytes of an ONNX file are all there is of it. A module is its state and its code, for which ``key`` stands;
    without a key the module's own object does, so that nothing measured of it is used again in another process. Of a
    function nothing can be hashed: without a key it is another one at each taking.
    """

    content: Any
    kind: HeldKind
    title: str
    key: str = ""
    steady: bool = False  # a function that somebody knows to stay the same from one taking to the next
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def reusable(self) -> bool:
        """Whether what is measured of it may be used again in another process."""
        return self.kind == "onnx" or bool(self.key)

    def again(self) -> Held:
        """The same network, taken once more."""
        return self if self.steady else replace(self, token=uuid.uuid4().hex)

    def parts(self) -> dict[str, Any]:
        """The parts of keys; of a module the state as it is now."""
        if self.kind == "function":
            return {"function": self.key or self.token}
        return {
            "module": self.key or token_of(self.content),
            "state": module_state(self.content, named=bool(self.key)),
        }
