"""Checkpoints of networks whose weights were computed before each pass, for networks that do it otherwise."""

from __future__ import annotations

import torch


def plain_checkpoint(
    state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The state of a checkpoint for a network that differs in how its weights are computed; and what was made plain.

    ``weight_orig`` and ``weight_mask`` of ``torch.nn.utils.prune`` become ``weight = mask * orig`` where the network
    has a plain weight; ``weight_g`` and ``weight_v`` of the old ``weight_norm`` are renamed for the new one, as torch
    does itself.

    >>> import torch
    >>> state = {"weight_orig": torch.tensor([2.0, 3.0]), "weight_mask": torch.tensor([0.0, 1.0])}
    >>> plain_checkpoint(state, {"weight": torch.zeros(2)})
    ({'weight': tensor([0., 3.])}, ['weight: prune, of the checkpoint'])
    """
    made, notes = dict(state), []
    for name in expected:
        path, _, tensor = name.rpartition(".")
        if f"{name}_orig" in made and f"{name}_mask" in made and name not in made:
            made[name] = made.pop(f"{name}_mask") * made.pop(f"{name}_orig")
            notes.append(f"{name}: prune, of the checkpoint")
        if tensor == "original0" and path.rpartition(".")[0].endswith("parametrizations"):
            owner, weight = path.rpartition(".")[0].removesuffix("parametrizations"), path.rpartition(".")[2]
            for old, new in ((f"{owner}{weight}_g", name), (f"{owner}{weight}_v", f"{path}.original1")):
                if old in made and new not in made:
                    made[new] = made.pop(old)
    return made, notes
