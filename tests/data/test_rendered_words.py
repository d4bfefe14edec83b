import numpy as np
import pytest
from PIL import ImageFont

from bench.data.base import loaders
from bench.data.rendered_words import PADDING, RenderedWords, draw_word
from bench.errors import UserError


def test_every_other_word_is_upside_down():
    data = RenderedWords(words=120).load(60, 20)
    assert [len(part) for part in (data.train, data.calibration, data.evaluation)] == [40, 20, 60]
    assert (data.input.shape, data.input.classes, data.input.bounds) == ((3, 48, 192), ("0", "180"), (0.0, 1.0))
    np.testing.assert_array_equal(np.bincount(data.evaluation.y), [30, 30])
    for part in (data.train, data.calibration, data.evaluation):
        rows = np.array([int(sample.removeprefix("rendered-words/")) for sample in part.ids])
        np.testing.assert_array_equal(part.y, rows % 2)
        for row, image in zip(rows.tolist(), part.x, strict=True):
            np.testing.assert_array_equal(image, draw_word(row, 0))
    assert loaders.get("rendered-words") is RenderedWords


def test_a_turned_word_is_the_upright_one_turned(monkeypatch):
    """An even and an odd row that draw alike."""
    from bench.data import rendered_words

    own = rendered_words.generator
    monkeypatch.setattr(rendered_words, "generator", lambda *words: own("rendered-words", 0, 1))
    upright, turned = draw_word(0, 0), draw_word(1, 0)
    width = int((upright != PADDING).any(axis=(0, 1)).sum())
    assert (turned[:, :, width:] == PADDING).all()
    assert (upright[:, :, width:] == PADDING).all()
    np.testing.assert_array_equal(turned[:, ::-1, :width][:, :, ::-1], upright[:, :, :width])


def test_seed_channels_and_padding():
    plain, other = RenderedWords(words=20).load(10, 4), RenderedWords(words=20, seed=1).load(10, 4)
    assert plain.fingerprint == RenderedWords(words=20).load(10, 4).fingerprint != other.fingerprint
    swapped = RenderedWords(words=20, channels="BGR").load(10, 4)
    np.testing.assert_array_equal(swapped.evaluation.x, plain.evaluation.x[:, ::-1])
    grey = (plain.evaluation.x == PADDING).all(axis=(1, 2))
    assert (grey[:, 1:] >= grey[:, :-1]).all()  # on the right alone
    assert 0 < grey.sum() < grey.size


def test_too_many_and_no_font(monkeypatch):
    with pytest.raises(UserError, match=r"data.evaluation: 10 \+ 20 samples asked, 'rendered-words' has 20"):
        RenderedWords(words=20).load(10, 20)

    def absent(size):
        raise ImportError("The _imagingft C module is not installed")

    monkeypatch.setattr(ImageFont, "load_default", absent)
    with pytest.raises(UserError, match="this Pillow was built without FreeType"):
        RenderedWords(words=20).load(10, 4)
