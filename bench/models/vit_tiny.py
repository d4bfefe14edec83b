"""A small vision transformer."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench.errors import UserError
from bench.models.base import Model, models
from bench.networks.network import InputSpec
from bench.registry import parameters

if TYPE_CHECKING:
    import torch
    from torch import nn


@models.register("vit-tiny")
@parameters
class VitTiny(Model):
    """Square patches as tokens, a learned position, pre-norm blocks of attention and perceptron, the mean token.

    Dosovitskiy et al. 2020 (arXiv 2010.11929), made small, with the mean of all tokens for a class token and without
    dropout. The shapes are fixed by the declared input, so it traces; the batch stays free.
    """

    patch: Annotated[int, Field(ge=1, description="height and width of a patch in pixels")] = 4
    width: Annotated[int, Field(ge=1, description="features of a token")] = 48
    depth: Annotated[int, Field(ge=1, description="blocks")] = 4
    heads: Annotated[int, Field(ge=1, description="attention heads; they share the width")] = 4
    hidden: Annotated[int, Field(ge=1, description="hidden features of each perceptron")] = 96

    def build(self, declared: InputSpec) -> nn.Module:
        """Build (n, channels, height, width) -> (n, classes).

        Raises:
            UserError: the patch does not divide the image, or the heads the width.
        """
        from torch import nn

        channels, height, width = declared.shape
        if height % self.patch or width % self.patch:
            what = f"patches of {self.patch} pixels do not divide {height} x {width} images"
            raise UserError.at("reference.patch", what, "give a divisor of both")
        if self.width % self.heads:
            what = f"{self.heads} heads cannot share a width of {self.width}"
            raise UserError.at("reference.heads", what, "give a divisor of the width")
        tokens = (height // self.patch) * (width // self.patch)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["patches"] = nn.Conv2d(channels, self.width, self.patch, stride=self.patch)
        layers["tokens"] = _tokens(tokens, self.width)
        for index in range(1, self.depth + 1):
            attend = _attention(self.width, self.heads)
            attention = nn.Sequential(OrderedDict(norm=nn.LayerNorm(self.width), attend=attend))
            layers[f"attention{index}"] = _residual(attention)
            layers[f"perceptron{index}"] = _residual(_perceptron(self.width, self.hidden))
        layers["norm"] = nn.LayerNorm(self.width)
        layers["mean"] = _mean()
        layers["classifier"] = nn.Linear(self.width, len(declared.classes))
        return nn.Sequential(layers)


def _perceptron(width: int, hidden: int) -> nn.Module:
    from torch import nn

    return nn.Sequential(
        OrderedDict(
            norm=nn.LayerNorm(width), linear1=nn.Linear(width, hidden), gelu=nn.GELU(), linear2=nn.Linear(hidden, width)
        )
    )


def _tokens(tokens: int, width: int) -> nn.Module:
    """(n, width, rows, columns) -> (n, tokens, width), plus a learned position."""
    import torch
    from torch import nn

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.position = nn.Parameter(torch.randn(1, tokens, width) * 0.02)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(2).transpose(1, 2) + self.position

    return Tokens()


def _head(width: int, features: int, bias: bool) -> nn.Module:
    """``softmax(Q K^T / sqrt(d)) V W``: (n, tokens, width) -> (n, tokens, width).

    Each head has linear layers of its own, where others cut up one large layer: so whole channels can be pruned.
    """
    from torch import nn

    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query = nn.Linear(width, features)
            self.key = nn.Linear(width, features)
            self.value = nn.Linear(width, features)
            self.project = nn.Linear(features, width, bias=bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scores = (self.query(x) @ self.key(x).transpose(1, 2)) * features**-0.5
            out: torch.Tensor = self.project(scores.softmax(dim=-1) @ self.value(x))
            return out

    return Head()


def _attention(width: int, heads: int) -> nn.Module:
    """The sum of all heads: (n, tokens, width) -> (n, tokens, width)."""
    from torch import nn

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heads = nn.ModuleList(_head(width, width // heads, bias=not index) for index in range(heads))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.heads[0](x)
            for head in self.heads[1:]:
                out = out + head(x)
            return out

    return Attention()


def _residual(inner: nn.Module) -> nn.Module:
    """``x + inner(x)``."""
    from torch import nn

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = x + self.inner(x)
            return out

    return Residual()


def _mean() -> nn.Module:
    """Mean over the tokens: (n, tokens, width) -> (n, width)."""
    from torch import nn

    class Mean(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean(dim=1)

    return Mean()
