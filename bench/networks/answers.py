"""Modules with several outputs: the part that holds the class scores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from bench.errors import UnusableNetwork, UserError
from bench.networks.interface import scored_classes, scores_shape
from bench.networks.network import InputSpec
from bench.registry import nearest

LOGITS = "logits"
NAMES = (LOGITS, "out")  # what the class scores are called, beside those of auxiliary heads


@dataclass(frozen=True)
class Part:
    """The part of an answer with the class scores: all of it, an item, or an attribute; (n, C, 1, ...) is flattened."""

    kind: Literal["whole", "item", "attribute"]
    name: int | str = ""
    flatten: bool = False

    def canonical(self) -> list[Any]:
        """The part as JSON for the record."""
        return [self.kind, self.name, self.flatten]

    def __str__(self) -> str:
        """The part as Python code writes it.

        >>> str(Part("item", "out")), str(Part("item", 1)), str(Part("attribute", "logits"))
        ("['out']", '[1]', '.logits')
        """
        return {"whole": "", "item": f"[{self.name!r}]", "attribute": f".{self.name}"}[self.kind]


class Scores(nn.Module):
    """A network of which one part of the answer is the answer; it can be traced and exported."""

    def __init__(self, network: nn.Module, part: Part) -> None:
        super().__init__()
        self.network = network
        self.part = part

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (batch, classes)."""
        answer = self.network(x)
        if self.part.kind == "item":
            answer = answer[self.part.name]
        elif self.part.kind == "attribute":
            answer = getattr(answer, str(self.part.name))
        scores: torch.Tensor = torch.flatten(answer, 1) if self.part.flatten else answer
        return scores


def with_answer(module: nn.Module, record: dict[str, Any]) -> nn.Module:
    """The module as a source record's ``answer`` takes it; itself where there is none."""
    if "answer" not in record:
        return module
    kind, name, flatten = record["answer"]
    return Scores(module, Part(kind, name, flatten)).eval()


def found_part(answer: Any, count: int, declared: InputSpec, where: str) -> tuple[Part, int]:
    """The part of an answer that holds the class scores, and how many classes there are.

    The declared ``output_name`` (a key, or a position), else ``logits`` or ``out``, else the first floating tensor
    (count, classes) or (count, classes, 1, ...), of several members (count, members, classes), with as many classes as
    are declared; where none are, there must be one alone, or several of one size.

    >>> found_part((torch.zeros(2, 5), torch.zeros(2, 3)), 2, InputSpec((1, 2, 2), ("a", "b", "c")), "factory")
    (Part(kind='item', name=1, flatten=False), 3)

    Raises:
        UnusableNetwork: no part holds class scores, or several may.
        UserError: no part has the declared name.
    """
    parts = dict(_parts(answer))
    chosen = _named(parts, declared.output_name, where)
    wanted = len(declared.classes)
    fitting: dict[Part, int] = {}
    for part, value in chosen.items():
        if not isinstance(value, torch.Tensor) or not value.is_floating_point() or value.ndim < 2:
            continue
        classes = scored_classes(value.shape, count, declared.members)
        if classes and (wanted in (0, classes) or len(parts) == 1):
            fitting[Part(part.kind, part.name, declared.members == 1 and value.ndim > 2)] = classes
    named = [part for name in NAMES for part in fitting if part.name == name]
    if named:
        fitting = {named[0]: fitting[named[0]]}
    if not fitting:
        right = f"put out {scores_shape('batch', declared.members, wanted)} in floating point, one score a class"
        raise UnusableNetwork.at(where, f"two images give {_told(chosen)}", right)
    if not wanted and len(set(fitting.values())) > 1:
        last = json.dumps(str(list(fitting)[-1].name))
        right = f"say which: input = {{ output_name = {last} }}"
        raise UnusableNetwork.at(where, f"several parts may be class scores: {_told(chosen)}", right)
    return next(iter(fitting.items()))


def _parts(answer: Any) -> Iterator[tuple[Part, Any]]:
    if isinstance(answer, torch.Tensor):
        yield Part("whole"), answer
    elif isinstance(answer, Mapping):
        yield from ((Part("item", key), value) for key, value in answer.items() if isinstance(key, str))
    elif isinstance(answer, tuple | list):
        yield from ((Part("item", index), value) for index, value in enumerate(answer))
    elif hasattr(answer, LOGITS):
        yield Part("attribute", LOGITS), answer.logits
    else:
        yield Part("whole"), answer


def _named(parts: dict[Part, Any], name: str, where: str) -> dict[Part, Any]:
    if not name:
        return parts
    matching = {part: value for part, value in parts.items() if str(part.name) == name}
    if not matching:
        known = [str(part.name) for part in parts]
        raise UserError.at(where, f"its answer has no part {name!r}", nearest(name, known) if any(known) else "")
    return matching


def _told(parts: dict[Part, Any]) -> str:
    words = []
    for part, value in parts.items():
        text = f"shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__
        if isinstance(value, torch.Tensor) and not value.is_floating_point():
            text += f" {str(value.dtype).removeprefix('torch.')}"
        words.append(f"{part} {text}".strip())
    return ", ".join(words) or "nothing"
