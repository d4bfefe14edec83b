"""crbench: is a compressed neural network still the same function where trust matters?"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import diff, load_suite, run

__version__ = "0.1.0"
__all__ = ["__version__", "diff", "load_suite", "run"]


def __getattr__(name: str) -> Any:
    """Import the public functions at their first use, so that ``crbench --help`` imports nothing heavy."""
    if name in ("diff", "load_suite", "run"):
        from bench import api

        return getattr(api, name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")
