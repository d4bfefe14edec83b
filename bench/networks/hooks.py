"""Forward hooks: code that runs around a layer and does not show in its weights."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from bench.errors import NotApplicable


def has_hooks(layer: nn.Module) -> bool:
    """Whether a forward hook or forward pre-hook is registered on this very module.

    >>> from torch import nn
    >>> layer = nn.ReLU()
    >>> handle = layer.register_forward_hook(lambda layer, x, y: y * 2)
    >>> has_hooks(layer), handle.remove(), has_hooks(layer)
    (True, None, False)
    """
    return bool(getattr(layer, "_forward_hooks", None) or getattr(layer, "_forward_pre_hooks", None))


def refuse_hooks(layers: Iterable[tuple[str, nn.Module]], fault: str) -> None:
    """Raise ``NotApplicable`` naming the first layer that has hooks; ``fault`` is what a step would do to them."""
    for name, layer in layers:
        if has_hooks(layer):
            title = f"layer {name!r}" if name else "the network itself"
            raise NotApplicable(
                f"{title} has a forward hook, which {fault}: write what it does into a module's forward, "
                "or call handle.remove() in the factory"
            )
