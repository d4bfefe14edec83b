"""A folder of images: what is read and decoded, what is refused."""

import numpy as np
import pytest
from PIL import Image

from bench.data import folder as module
from bench.data.folder import Folder
from bench.errors import UserError
from bench.suite.load import load_suite
from tests.suite.documents import problems, text, write


def picture(path, value=7, shape=(6, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*shape, 3), value, np.uint8)).save(path)


@pytest.fixture
def root(tmp_path):
    """Two classes of twelve images; the value of a pixel says which image it is."""
    for label, name in enumerate(("cat", "dog")):
        for index in range(12):
            picture(tmp_path / "images" / name / f"{index:02d}.png", 100 * label + index)
    return tmp_path / "images"


def test_images_and_classes(root):
    data = Folder(path=root, mean=(0.5,), std=(0.2, 0.3, 0.4)).load(8, 4)
    assert [len(part) for part in (data.train, data.calibration, data.evaluation)] == [12, 4, 8]
    assert data.input.classes == ("cat", "dog")
    assert data.input.shape == (3, 6, 6)
    assert data.input.std == (0.2, 0.3, 0.4)
    for part in (data.train, data.calibration, data.evaluation):
        np.testing.assert_array_equal(np.bincount(part.y), [len(part) // 2] * 2)
        for sample, label, x in zip(part.ids, part.y, part.x, strict=True):
            _, name, file = sample.split("/")
            assert ("cat", "dog")[label] == name
            assert (np.rint(x * 255) == 100 * label + int(file.removesuffix(".png"))).all()
    assert len({*data.train.ids, *data.calibration.ids, *data.evaluation.ids}) == 24
    assert data.fingerprint == Folder(path=root, mean=(0.1,)).load(8, 4).fingerprint
    assert Folder(path=root, seed=1).load(8, 4).evaluation.ids != data.evaluation.ids


def test_only_what_is_asked_for_is_decoded(root, monkeypatch):
    seen = []
    decode = module.decode
    monkeypatch.setattr(module, "decode", lambda path, *rest: seen.append(path) or decode(path, *rest))
    data = Folder(path=root, training=2).load(4, 2)
    assert [len(part) for part in (data.train, data.calibration, data.evaluation)] == [2, 2, 4]
    assert len(set(seen)) == 8


def test_a_large_split_lies_in_a_file(root, monkeypatch):
    before = Folder(path=root).load(8, 4)
    monkeypatch.setattr(module, "LARGE", 1000)
    data = Folder(path=root).load(8, 4)
    assert isinstance(data.evaluation.x, np.memmap)
    assert data.fingerprint == before.fingerprint
    np.testing.assert_array_equal(data.train.x, before.train.x)


def test_size_and_grey(root):
    picture(root / "cat" / "large.jpg", 50, (40, 20))
    data = Folder(path=root, size=8, grayscale=True).load(25, 0)
    assert data.input.shape == (1, 8, 8)
    assert "folder/cat/large.jpg" in data.evaluation.ids
    with pytest.raises(UserError, match=r"has shape \(3, (40, 20|6, 6)\), others .*; give data\.size"):
        Folder(path=root).load(25, 0)


def test_hidden_files_are_passed_over(root):
    before = Folder(path=root).load(8, 4)
    (root / ".thumbnails").mkdir()
    (root / ".DS_Store").write_bytes(b"x")
    (root / "cat" / "._00.png").write_bytes(b"x")
    assert Folder(path=root).load(8, 4).fingerprint == before.fingerprint


def outside_link(root, tmp_path):
    picture(tmp_path / "secret.png")
    (root / "cat" / "link.png").symlink_to(tmp_path / "secret.png")


def outside_class(root, tmp_path):
    picture(tmp_path / "elsewhere" / "a.png")
    (root / "fox").symlink_to(tmp_path / "elsewhere")


WRONG = {
    "text": (lambda root, tmp: (root / "cat" / "notes.txt").touch(), r"cat/notes\.txt is no \.png, \.jpg or \.jpeg"),
    "no image": (lambda root, tmp: (root / "cat" / "a.png").write_text("x"), r"a\.png' cannot be read"),
    "deep": (lambda root, tmp: (root / "cat" / "more").mkdir(), "cat/more is no .*without further folders"),
    "beside": (lambda root, tmp: (root / "a.png").touch(), r"'a\.png' lies beside the classes"),
    "empty class": (lambda root, tmp: (root / "fox").mkdir(), "class 'fox' holds no image"),
    "one class": (lambda root, tmp: (root / "dog").rename(tmp / "dog"), "holds 1 classes; give two sub-folders"),
    "link": (outside_link, r"cat/link\.png is a link out of the folder"),
    "linked class": (outside_class, "images/fox is a link out of the folder"),
}


@pytest.mark.parametrize(("spoil", "said"), WRONG.values(), ids=WRONG)
def test_what_is_refused(root, tmp_path, spoil, said):
    spoil(root, tmp_path)
    with pytest.raises(UserError, match=rf"^data\.path: .*{said}"):
        Folder(path=root).load(24, 0)


def test_a_link_inside_the_folder_serves(root):
    (root / "cat" / "again.png").symlink_to(root / "cat" / "00.png")
    assert len(Folder(path=root).load(25, 0).evaluation) == 25


def test_wrong_parameters(root, tmp_path):
    with pytest.raises(UserError, match="no folder"):
        Folder(path=tmp_path / "none").load(2, 0)
    with pytest.raises(UserError, match=r"data\.mean: 2 values for 3 channels"):
        Folder(path=root, mean=(0.1, 0.2)).load(2, 0)
    with pytest.raises(UserError, match="give positive values"):
        Folder(path=root, std=(0.0,)).load(2, 0)
    with pytest.raises(UserError, match=r"20 \+ 5 samples asked, 'folder' has 24"):
        Folder(path=root).load(20, 5)


def test_in_a_suite_the_path_starts_at_the_suite(root, tmp_path):
    data = '[data]\nloader = "folder"\npath = "images"\nevaluation = 8\ncalibration = 4'
    suite = load_suite(write(tmp_path, text(data=data)))
    assert suite.loader.path == root
    (problem,) = problems(write(tmp_path, text(data=data.replace("images", "none"))))
    assert (problem.where, problem.what) == ("data.path", "'none' is no folder")
    (problem,) = problems(write(tmp_path, text(data=data.replace("images", "images/cat/00.png"))))
    assert problem.what.endswith("is no folder")
