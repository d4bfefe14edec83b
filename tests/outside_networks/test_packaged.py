import sys
import tomllib
from pathlib import Path

import pytest

from bench.errors import MissingExtra, UserError
from bench.outside_networks.packaged import EXTRAS, packaged
from bench.suite.given_network import parse_network
from bench.suite.load import load_suite
from tests.onnx_files.test_reading import model
from tests.suite.documents import problems, text, write


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """A package of that name with a file, a folder and a link that leads out; importing it fails."""
    folder = tmp_path / "site" / "nets"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('imported')")
    (folder / "data" / "small.onnx").write_bytes(model().SerializeToString())
    (folder / "data" / "out.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    (tmp_path / "elsewhere.onnx").write_bytes(model().SerializeToString())
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return folder


def test_a_file_and_a_folder(nets):
    assert packaged("package:nets/data/small.onnx") == nets / "data" / "small.onnx"
    assert packaged("package:nets/data") == nets / "data"
    assert "nets" not in sys.modules


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("package:nets/data/none.onnx", r"package 'nets' has no 'data/none\.onnx'; it lies in .*nets"),
        ("package:nets/../../elsewhere.onnx", "leads out of the package"),
        ("package:nets/data/out.onnx", "leads out of the package"),
        ("package:/etc/passwd", "names no file of a package; write it as package:NAME/path/to/file"),
        ("package:nets", "names no file of a package"),
        ("package:", "names no file of a package"),
        ("package:no-name/x.onnx", "names no file of a package"),
        ("package:absent_nets/x.onnx", "package 'absent_nets' is not installed; install the package that has"),
        ("package:tomllib/x\0.onnx", "names no file of a package"),
        ("package:this/x.onnx", "package 'this' has no 'x.onnx'; it is a single module"),
    ],
)
def test_names_that_do_not_serve(nets, name, what):
    with pytest.raises(UserError, match=what):
        packaged(name, "reference.onnx")


def test_an_absent_package_of_an_extra(monkeypatch):
    monkeypatch.setattr("bench.outside_networks.packaged.find_spec", lambda name: None)
    for package, extra in EXTRAS.items():
        with pytest.raises(MissingExtra, match=rf"'{package}' is not installed; pip install .*\[{extra}\]"):
            packaged(f"package:{package}/model.onnx")


def test_the_extras_bring_these_packages():
    project = Path(__file__).parents[2] / "pyproject.toml"
    extras = tomllib.loads(project.read_text())["project"]["optional-dependencies"]
    for package, extra in EXTRAS.items():
        assert any(entry.startswith(f"{package}>=") for entry in extras[extra])


def test_in_a_suite(nets, tmp_path):
    def suite(name):
        reference = f'[reference]\nonnx = "{name}"'
        return write(tmp_path, text(reference=reference, yardstick="", target="", variant=VARIANT))

    assert load_suite(suite("package:nets/data/small.onnx")).reference.outside.onnx == nets / "data" / "small.onnx"
    (problem,) = problems(suite("package:nets/none.onnx"))
    assert str(problem).startswith("reference.onnx: package 'nets' has no 'none.onnx'; it lies in ")
    (problem,) = problems(suite("package:nets/data"))
    assert problem.what == "'package:nets/data' does not end in .onnx"


VARIANT = '[[variant]]\nname = "int8"\nsteps = [{ use = "ort-dynamic-quant" }]'


def test_on_the_command_line(nets):
    assert parse_network("package:nets/data/small.onnx", "REFERENCE").onnx == nets / "data" / "small.onnx"
    with pytest.raises(UserError, match=r"VARIANT: package 'nets' has no 'none\.onnx'"):
        parse_network("package:nets/none.onnx", "VARIANT")
    (nets / "weights.safetensors").write_bytes(b"")
    found = parse_network("own:make@package:nets/weights.safetensors", "VARIANT")
    assert (found.factory, found.checkpoint) == ("own:make", nets / "weights.safetensors")
