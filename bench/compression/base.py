"""A step: one transformation of a network, its record, and its data-free restore."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from bench.data.base import Samples
from bench.networks.network import Network
from bench.registry import Registry

if TYPE_CHECKING:
    from bench.models.base import Recipe

Need = Literal["train", "calibration", "recipe"]


@dataclass(frozen=True)
class StepContext:
    """The data and networks that a step may use; it declares which of them in ``needs``."""

    train: Samples
    calibration: Samples
    recipe: Recipe | None  # the reference's own; None where the reference came from outside
    seed: int
    progress: Callable[[str], None] = lambda message: None
    reference: Network | None = None  # the network the chain began with, for distillation


class Step(ABC):
    """A frozen dataclass of parameters with ``apply``; registered with ``@steps.register("name")``.

    ``version`` rises when the result of the same parameters changes; ``packages`` are those whose version can
    change it.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    packages: ClassVar[tuple[str, ...]] = ("torch",)
    consumes: ClassVar[frozenset[str]] = frozenset({"torch"})
    refusal: ClassVar[dict[str, str]] = {}  # network kind -> why it is refused
    needs: ClassVar[frozenset[Need]] = frozenset()
    control: ClassVar[bool] = False  # compresses nothing: it shows what damage or another training does alone
    takes_torchscript: ClassVar[bool] = False  # else a network with TorchScript in it is refused

    def produces(self, kind: str) -> str:
        """The kind of network that comes out of one of ``kind``."""
        return kind

    def uses(self) -> frozenset[Need]:
        """The ``needs`` that these very parameters use; their fingerprints enter the key."""
        return self.needs

    def demands(self) -> frozenset[Need]:
        """The ``needs`` that these parameters cannot do without: a split that nothing demands may be empty."""
        return self.uses()

    @abstractmethod
    def apply(self, network: Network, context: StepContext) -> tuple[Network, dict[str, Any]]:
        """Make the new network (never in place) and the JSON-only record that rebuilds its structure."""

    def rebuild(self, network: Network, record: dict[str, Any]) -> Network:
        """Repeat the change of structure, without data; weights are loaded after it."""
        return network

    def canonical(self) -> dict[str, Any]:
        """Name, version and parameters, for the key."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {"step": self.name, "version": self.version, "parameters": values}


HELPERS = ("distillation", "exporting", "onnx_runtime", "pruning", "quantisation", "restoring")

steps: Registry[type[Step]] = Registry("step", "bench.compression", HELPERS)
