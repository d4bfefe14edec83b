"""Shifts and mirrors: whole pixels, each image by itself, from the given generator alone."""

import pytest
import torch

from bench.models.augmentation import PIXELS, augment, shifted


def own(seed=0):
    return torch.Generator().manual_seed(seed)


def slow(image, down, right, mirror, fill):
    """One image (channels, height, width), pixel by pixel."""
    _, height, width = image.shape
    out = torch.full_like(image, fill)
    for row in range(height):
        for column in range(width):
            from_row, from_column = row - down, (width - 1 - column if mirror else column) - right
            if 0 <= from_row < height and 0 <= from_column < width:
                out[:, row, column] = image[:, from_row, from_column]
    return out


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7), (2, 1, 1), (1, 2, 3)])
def test_against_pixel_by_pixel(shape):
    moves = [(down, right) for down in range(-PIXELS, PIXELS + 1) for right in range(-PIXELS, PIXELS + 1)]
    x = torch.rand(2 * len(moves), *shape, generator=own())
    offsets = torch.tensor(moves * 2)
    mirrored = torch.arange(len(x)) < len(moves)
    wanted = [slow(*row, fill=-1.0) for row in zip(x, *offsets.T.tolist(), mirrored.tolist(), strict=True)]
    assert torch.equal(shifted(x, offsets, mirrored, fill=-1.0), torch.stack(wanted))


def test_the_draws():
    """Every shift comes about equally often, in both directions, and half of the images are mirrored."""
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 4, 3] = 1.0  # two from one side, three from the other: a mirror shows
    out = augment(image.expand(4000, 1, 9, 9), "flip-shift", 0.0, own())
    rows, columns = out.sum(dim=(1, 3)).argmax(dim=1), out.sum(dim=(1, 2)).argmax(dim=1)
    counts = torch.bincount(rows, minlength=9)
    assert counts.nonzero().flatten().tolist() == [2, 3, 4, 5, 6]
    assert bool((counts[2:7] - 800).abs().max() < 4 * 4000**0.5)
    straight = torch.bincount(torch.cat([columns, 8 - columns]), minlength=9)
    assert straight.nonzero().flatten().tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert abs(float((columns == 1).sum()) - 400) < 4 * 20  # the leftmost only unmirrored: half of a fifth
    assert abs(float((columns == 7).sum()) - 400) < 4 * 20  # the rightmost only mirrored


def test_shift_does_not_mirror():
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 4, 3] = 1.0
    out = augment(image.expand(500, 1, 9, 9), "shift", 0.0, own())
    assert set(out.sum(dim=(1, 2)).argmax(dim=1).tolist()) == {1, 2, 3, 4, 5}


def test_the_generator_decides_and_nothing_is_changed():
    x = torch.rand(16, 1, 8, 8, generator=own())
    before, state = x.clone(), torch.get_rng_state()
    one, two = (augment(x, "flip-shift", 0.0, own(3)) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, augment(x, "flip-shift", 0.0, own(4)))
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)
    generator = own(5)
    assert augment(x, "none", 0.0, generator) is x
    assert torch.equal(generator.get_state(), own(5).get_state())
