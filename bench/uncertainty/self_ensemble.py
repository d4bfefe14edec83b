"""Sub-networks of one network, as independent as they are asked to be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from bench.errors import UserError
from bench.models.base import Model, Progress, Recipe
from bench.networks.network import InputSpec
from bench.registry import parameters
from bench.stats.streams import derive_seed, generator
from bench.uncertainty.base import Labelled, Method, methods

if TYPE_CHECKING:
    import torch
    from torch import nn

    from bench.models.training import LossOf


@methods.register("self-ensemble")
@parameters
class SelfEnsemble(Method):
    """Members that each have a part of every hidden layer's channels, and are trained together.

    The network is first trained as one for a share of the epochs; then its channels are dealt out: by ``importance``
    each member gets its fair share of the important ones (first-order Taylor, ``E (dL/dm_u)^2`` for a factor m_u of
    each unit, arXiv 1906.10771); ``random`` and ``contiguous`` partitions are the controls. ``overlap`` goes from 0,
    where no channel serves two members, to 1, where all serve all. Then every step minimises the mean over members of
    the cross entropy, less ``weight`` times what ``diversity`` names: ``kl``, the mean KL divergence of pairs of
    members; ``errors``, minus the mean product of the probabilities that two members give to the same wrong class.
    ``combined`` parts them further while they are trained together: ``bagging`` by a resample of the samples for each,
    ``inputs`` by other samples in every batch, as MIMO's inputs are; ``stochastic-depth`` by residual branches that
    each leaves out for good, more of the later ones.
    A member stands in the network as it is: ``one-member`` cuts it out.
    """

    members: Annotated[int, Field(ge=2, description="sub-networks")] = 4
    overlap: Annotated[float, Field(ge=0, le=1, description="0: disjoint; 1: every member has all channels")] = 0.0
    partition: Annotated[
        Literal["importance", "random", "contiguous"], Field(description="how channels are dealt out")
    ] = "importance"
    diversity: Annotated[
        Literal["none", "kl", "errors"], Field(description="what keeps the members' answers apart in training")
    ] = "none"
    weight: Annotated[float, Field(ge=0, description="of diversity in the loss")] = 0.1
    combined: Annotated[
        Literal["none", "bagging", "inputs", "stochastic-depth"], Field(description="what else parts the members")
    ] = "none"
    survival: Annotated[
        float, Field(gt=0, lt=1, description="of the last residual branch; of stochastic-depth alone")
    ] = 0.8
    first: Annotated[float, Field(ge=0, lt=1, description="share of the epochs for which it is one network")] = 0.5

    def check(self, model: Model, declared: InputSpec, recipe: Recipe) -> None:
        """Refuse layers that cannot be dealt out, and too few epochs for both parts."""
        if not 0 < self._epochs(recipe) <= recipe.epochs:
            what = f"{recipe.epochs} epochs leave none for training the members together"
            raise UserError.at("reference.method.first", what, "give more epochs, or a smaller share")
        if self.combined in ("bagging", "inputs") and self.diversity != "none":
            what = f"{self.combined!r} gives members other samples, {self.diversity!r} compares answers to one"
            raise UserError.at("reference.method.combined", what, "give one of both")
        self._deal(self.build(model, declared), None, 0)

    def _epochs(self, recipe: Recipe) -> int:
        """The epochs for which the members are trained together."""
        return recipe.epochs - round(self.first * recipe.epochs)

    def build(self, model: Model, declared: InputSpec) -> nn.Module:
        """The network with a mask behind every hidden activation."""
        from bench.uncertainty.masked import masked

        network = masked(model, declared, self.members, apart=True)
        if self.combined == "stochastic-depth":
            from bench.uncertainty.gated import gate_branches

            gate_branches(network.network, model.build(declared), declared, self.members, self.survival)
        return network

    def train(
        self, model: Model, samples: Labelled, declared: InputSpec, recipe: Recipe, seed: int, progress: Progress
    ) -> nn.Module:
        """Train as one network, deal the channels out, and train the members together."""
        from bench.models.training import Additions, cross_entropy, initialise, train
        from bench.uncertainty.masked import masks_of
        from bench.uncertainty.unit_importance import unit_importance

        network = self.initialised(model, declared, seed)
        own = derive_seed("self-ensemble", seed)
        one = train(
            initialise(model, declared, seed), samples, declared,
            replace(recipe, epochs=recipe.epochs - self._epochs(recipe)), seed, progress,
        )  # fmt: skip
        network.network.load_state_dict(one.state_dict(), strict=False)  # type: ignore[union-attr]
        scores = unit_importance(network, samples, declared) if self.partition == "importance" else None
        self._deal(network, scores, own)
        assert all(mask.masks.any(dim=0).all() for mask in masks_of(network))

        self._leave_branches_out(network, own)

        def together(module: nn.Module, x: torch.Tensor, y: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
            answers = module(x)
            loss = cross_entropy(answers, y, declared, recipe.label_smoothing)
            if self.diversity == "none" or not self.weight:
                return loss
            return loss - self.weight * diversity(answers.log_softmax(dim=-1), y, self.diversity)

        network.eval()
        rest = replace(recipe, epochs=self._epochs(recipe))
        loss_of = self._own_samples(len(samples.x), own, recipe) or together
        return train(network, samples, declared, rest, own, progress, Additions(loss_of=loss_of))

    def _leave_branches_out(self, network: nn.Module, seed: int) -> None:
        """Draw the residual branches that each member has, for good."""
        import torch

        from bench.uncertainty.gated import gates_of

        for number, gate in enumerate(gates_of(network)):
            kept = generator("self-ensemble branches", seed, number).random(self.members) >= gate.rate
            gate.fill(torch.from_numpy(kept).float())

    def _own_samples(self, n: int, seed: int, recipe: Recipe) -> LossOf | None:
        """The loss where members learn from other samples each; None where they share them."""
        import numpy as np
        import torch
        from torch.nn import functional

        from bench.networks.members import Tiled

        if self.combined not in ("bagging", "inputs"):
            return None
        drawn = [generator("self-ensemble bagging", seed, k).integers(n, size=n) for k in range(self.members)]
        counts = torch.from_numpy(np.stack([np.bincount(rows, minlength=n) for rows in drawn], axis=1)).float()
        random = torch.Generator().manual_seed(derive_seed("self-ensemble inputs", seed))

        def of_rows(scores: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            """The cross entropy (n, members) of scores (n, members, classes) and labels (n, members)."""
            rows = functional.cross_entropy(
                scores.flatten(0, 1), y.flatten(), reduction="none", label_smoothing=recipe.label_smoothing
            )
            return rows.view_as(y)

        def loss_of(module: nn.Module, x: torch.Tensor, y: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
            if self.combined == "bagging":
                repeated = y[:, None].expand(-1, self.members)
                return (of_rows(module(x), repeated.contiguous()) * counts[index]).mean()
            orders = torch.stack([torch.randperm(len(x), generator=random) for _ in range(self.members)])
            assert isinstance(module, Tiled)
            return of_rows(module.each(x[orders.flatten()]), y[orders.T].contiguous()).mean()

        return loss_of

    def _deal(self, network: nn.Module, scores: list[torch.Tensor] | None, seed: int) -> None:
        """Fill in the masks; ``UserError`` where a layer cannot be dealt out."""
        import numpy as np
        import torch

        from bench.functional.members.partitions import partition
        from bench.uncertainty.masked import fill

        def make(number: int, units: int) -> torch.Tensor:
            importance = np.ones(units) if scores is None else scores[number].numpy()
            try:
                held = partition(importance, self.members, self.overlap, self.partition, seed, str(number))
            except ValueError as error:
                raise UserError.at("reference.method", str(error), "give other widths, members or overlap") from error
            return torch.from_numpy(held).float()

        fill(network, make)


def diversity(log_p: torch.Tensor, y: torch.Tensor, kind: Literal["kl", "errors"]) -> torch.Tensor:
    """How far apart members answer, a scalar: log-probabilities (n, members, classes) and labels (n,).

    ``kl``: mean over ordered pairs of ``KL(p_i || p_j)``; ``errors``: minus the mean over pairs of
    ``Σ_{c ≠ y} p_i(c) p_j(c)``.

    >>> import torch
    >>> p = torch.tensor([[[0.5, 0.5], [0.5, 0.5]]])
    >>> float(diversity(p.log(), torch.tensor([0]), "kl")), float(diversity(p.log(), torch.tensor([0]), "errors"))
    (0.0, -0.25)
    """
    import torch

    n, members, classes = log_p.shape
    pairs = members * (members - 1)
    p = log_p.exp()
    if kind == "kl":
        own = (p * log_p).sum(dim=-1)  # (n, members)
        crossed = p @ log_p.transpose(1, 2)  # (n, members, members)
        return (own.sum() * members - crossed.sum()) / (n * pairs)
    wrong = p * (torch.arange(classes, device=y.device) != y[:, None])[:, None]
    products = wrong @ wrong.transpose(1, 2)
    return -(products.sum() - products.diagonal(dim1=1, dim2=2).sum()) / (n * pairs)
