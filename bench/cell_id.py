"""The identity of a cell: which variant, target, metric, parameters and replicate a result is of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Identified(Protocol):
    """A cell of a run, what was kept of one, or what was said about one."""

    @property
    def variant(self) -> str: ...  # noqa: D102
    @property
    def target(self) -> str: ...  # noqa: D102
    @property
    def metric(self) -> str: ...  # noqa: D102
    @property
    def params(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def replicate(self) -> int | None: ...  # noqa: D102


def canonical_parameters(parameters: Mapping[str, Any]) -> str:
    """Parameters as one text, equal for equal parameters in any order.

    >>> canonical_parameters({"steps": 20, "epsilon": 0.1}), canonical_parameters({})
    ('{"epsilon":0.1,"steps":20}', '{}')
    """
    return json.dumps(dict(parameters), sort_keys=True, separators=(",", ":"))


def replicate_suffix(replicate: int | None) -> str:
    """What tells a replicate from the first one.

    >>> replicate_suffix(0), replicate_suffix(2), replicate_suffix(None)
    ('', '#2', '#all')
    """
    return "" if replicate == 0 else f"#{'all' if replicate is None else replicate}"


@dataclass(frozen=True)
class CellId:
    """The identity of a cell of a run; hashable and sortable by ``path``.

    ``parameters`` is the canonical JSON of all parameters of the metric. ``defaults`` is that of the metric's defaults,
    which ``label`` leaves out; it is no part of the identity.

    >>> cell = CellId.make("fold", "torch", "adversarial.pgd", {"steps": 20, "epsilon": 0.1}, 1, defaults={"steps": 20})
    >>> cell.label
    'fold/torch/adversarial.pgd[epsilon=0.1]#1'
    >>> cell.path
    '["fold","torch","adversarial.pgd",{"epsilon":0.1,"steps":20},1]'
    >>> cell == CellId.make("fold", "torch", "adversarial.pgd", {"epsilon": 0.1, "steps": 20}, 1)
    True
    """

    variant: str
    target: str
    metric: str
    parameters: str = "{}"
    replicate: int | None = 0  # None: over all replicates
    defaults: str = field(default="{}", compare=False, repr=False)

    @classmethod
    def make(
        cls, variant: str, target: str, metric: str, parameters: Mapping[str, Any], replicate: int | None = 0,
        *, defaults: Mapping[str, Any] | None = None,
    ) -> CellId:  # fmt: skip
        """The id of these names and parameters; ``TypeError`` where JSON cannot hold a parameter."""
        known = canonical_parameters(defaults or {})
        return cls(variant, target, metric, canonical_parameters(parameters), replicate, known)

    @classmethod
    def of(cls, cell: Identified, *, defaults: Mapping[str, Any] | None = None) -> CellId:
        """The id of a cell, of what was kept of it, or of what was said about it."""
        return cls.make(cell.variant, cell.target, cell.metric, cell.params, cell.replicate, defaults=defaults)

    @property
    def params(self) -> dict[str, Any]:
        """All parameters, as JSON gives them."""
        params: dict[str, Any] = json.loads(self.parameters)
        return params

    @property
    def given(self) -> dict[str, Any]:
        """The parameters that are not at their defaults, by name."""
        defaults = json.loads(self.defaults)
        return dict(sorted((k, v) for k, v in self.params.items() if k not in defaults or v != defaults[k]))

    @property
    def path(self) -> str:
        """One text that no other cell has: the key of arrays and of baselines. JSON, so no name is mistaken for two."""
        names = [self.variant, self.target, self.metric, self.params, self.replicate]
        return json.dumps(names, sort_keys=True, separators=(",", ":"))

    @property
    def label(self) -> str:
        """variant/target/metric[parameter=value]#replicate, for reading and for globs.

        Parameters at their defaults, the first replicate, and 'over all replicates' are left out.
        """
        return f"{self.variant}/{self.target}/{self.use}{f'#{self.replicate}' if self.replicate else ''}"

    @property
    def use(self) -> str:
        """The metric with its parameters: ``adversarial.pgd[epsilon=0.1]``."""
        return metric_label(self.metric, self.params, json.loads(self.defaults))


def metric_label(metric: str, parameters: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """The metric's name and those parameters that are not at their defaults.

    >>> metric_label("adversarial.pgd", {"epsilon": 0.1, "steps": 20}, {"steps": 20})
    'adversarial.pgd[epsilon=0.1]'
    """
    given = {name: value for name, value in parameters.items() if name not in defaults or value != defaults[name]}
    text = ",".join(f"{name}={_as_tuple(value)}" for name, value in sorted(given.items()))
    return f"{metric}[{text}]" if text else metric


def _as_tuple(value: Any) -> Any:
    """Lists, as JSON has them, as the tuples that parameters of a metric are."""
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
