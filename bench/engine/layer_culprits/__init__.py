"""Layer culprits: which layer of a variant moves its function away from the reference's, and by how much."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.engine.layer_culprits.diagnosis import diagnose, why_diverged

__all__ = ["diagnose", "why_diverged"]


def __getattr__(name: str) -> Any:
    """Import the analysis at its first use: the ranking and its figures need none of it."""
    if name in __all__:
        from bench.engine.layer_culprits import diagnosis

        return getattr(diagnosis, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
