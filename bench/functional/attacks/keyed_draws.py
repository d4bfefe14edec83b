"""Random numbers of a library that draws from torch's global generator, made each sample's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.overrides import TorchFunctionMode

DRAWS: Final[dict[Callable[..., Any], str]] = {torch.rand: "random", torch.randn: "standard_normal"}


class _OwnDraws(TorchFunctionMode, ABC):
    """While it is entered, ``torch.rand`` and ``torch.randn`` come from ``drawn``; everything else is left as it is."""

    @abstractmethod
    def drawn(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Numbers of that shape by the method of numpy's generators of that name."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        """Replace a draw."""
        given = kwargs or {}
        if func not in DRAWS:
            return func(*args, **given)
        drawn = torch.from_numpy(self.drawn(DRAWS[func], _shape(args, given)))
        return drawn.to(dtype=given.get("dtype") or torch.get_default_dtype(), device=given.get("device"))


class KeyedDraws(_OwnDraws):
    """While it is entered, row i of ``torch.rand`` and ``torch.randn`` comes from the i-th generator.

    The global generator is neither read nor moved, and a row does not depend on the others. A draw whose first axis
    is not the samples' raises ``ValueError``.

    >>> with KeyedDraws([np.random.default_rng(3), np.random.default_rng(4)]):
    ...     both = torch.rand(2, 3)
    >>> with KeyedDraws([np.random.default_rng(4)]):
    ...     bool((torch.rand(1, 3)[0] == both[1]).all())
    True
    """

    def __init__(self, generators: Sequence[np.random.Generator]) -> None:
        super().__init__()
        self.generators = generators

    def drawn(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Each row from its own generator."""
        if not shape or shape[0] != len(self.generators):
            raise ValueError(f"a draw of shape {shape} for {len(self.generators)} samples")
        return np.stack([getattr(each, name)(shape[1:]) for each in self.generators])


class OneSamplesDraws(_OwnDraws):
    """While it is entered, all of ``torch.rand`` and ``torch.randn`` comes from one generator: that of one sample.

    The global generator is neither read nor moved. It holds in the thread that entered it.

    >>> with OneSamplesDraws(np.random.default_rng(3)):
    ...     drawn = torch.rand(2)
    >>> drawn.tolist() == torch.from_numpy(np.random.default_rng(3).random(2)).float().tolist()
    True
    """

    def __init__(self, generator: np.random.Generator) -> None:
        super().__init__()
        self.generator = generator

    def drawn(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """All from the one generator."""
        return np.asarray(getattr(self.generator, name)(shape))


def _shape(args: tuple[Any, ...], given: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(given["size"] if "size" in given else args[0] if len(args) == 1 and _many(args[0]) else args)


def _many(size: Any) -> bool:
    return isinstance(size, Sequence)
