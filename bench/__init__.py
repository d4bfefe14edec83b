"""crbench: is a compressed neural network still the same function where trust matters?

>>> import bench
>>> bench.onnx.load.__module__
'bench.onnx'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bench import functional, onnx, stats
    from bench.api import Inputs, diff, load_suite, network, run

__version__ = "0.1.0"
__all__ = ["Inputs", "__version__", "diff", "functional", "load_suite", "network", "onnx", "run", "stats"]

_OBJECTS: Final = dict.fromkeys(("Inputs", "diff", "load_suite", "network", "run"), "bench.api")
_MODULES: Final = ("functional", "onnx", "stats")


def __getattr__(name: str) -> Any:
    """Import what is public at its first use, so that ``crbench --help`` imports nothing heavy."""
    if name in _MODULES:
        return import_module(f"bench.{name}")
    if name in _OBJECTS:
        return getattr(import_module(_OBJECTS[name]), name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
