"""Points of lines, Bezier curves and planes: exact ends, De Casteljau, and coordinates that give the points back."""

from __future__ import annotations

import numpy as np
import pytest

from bench.functional.members.curves import (
    bezier_weights,
    combined,
    line_weights,
    parameters_along,
    plane_through,
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("weights", "number"), [(line_weights, 2), (bezier_weights, 3)])
def test_a_curve_begins_and_ends_exactly_in_its_ends(weights, number, dtype):
    vertices = np.random.default_rng(0).normal(size=(number, 1000)).astype(dtype)
    points = combined(weights(parameters_along(7)), vertices)
    assert (points[0] == vertices[0]).all()
    assert (points[-1] == vertices[-1]).all()
    assert weights(parameters_along(7)).sum(axis=1) == pytest.approx(1.0, abs=1e-15)


def test_a_bezier_curve_is_that_of_de_casteljau():
    vertices = np.random.default_rng(1).normal(size=(3, 20))
    a = parameters_along(11)
    inner = [combined(line_weights(a), vertices[i : i + 2]) for i in (0, 1)]
    wanted = (1 - a)[:, None] * inner[0] + a[:, None] * inner[1]
    assert combined(bezier_weights(a), vertices) == pytest.approx(wanted, abs=1e-14)


def test_a_bend_in_the_middle_is_a_line():
    first, last = np.random.default_rng(2).normal(size=(2, 20))
    a = parameters_along(9)
    curve = combined(bezier_weights(a), np.stack([first, (first + last) / 2, last]))
    assert curve == pytest.approx(combined(line_weights(a), np.stack([first, last])), abs=1e-14)


def test_points_of_a_plane_come_back():
    random = np.random.default_rng(3)
    modes = random.normal(size=(3, 200)) + 5.0
    plane = plane_through(modes)
    assert plane.basis @ plane.basis.T == pytest.approx(np.eye(2), abs=1e-14)
    assert modes[0] + plane.coordinates @ plane.basis == pytest.approx(modes, abs=1e-12)
    points = random.normal(size=(50, 2)) * 20
    weights = plane.mode_weights(points)
    assert weights.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    assert combined(weights, modes) == pytest.approx(modes[0] + points @ plane.basis, abs=1e-10)
    assert (plane.mode_weights(plane.coordinates) == np.eye(3)).all()
    between = np.linalg.norm(modes[:, None] - modes[None], axis=2)
    assert np.linalg.norm(plane.coordinates[:, None] - plane.coordinates[None], axis=2) == pytest.approx(between)


def test_a_basis_of_nearly_parallel_edges_is_orthonormal():
    first, side, across = np.random.default_rng(4).normal(size=(3, 500))
    plane = plane_through(np.stack([first, first + side, first + 2 * side + 1e-5 * across]))
    assert plane.basis @ plane.basis.T == pytest.approx(np.eye(2), abs=1e-14)


def test_a_grid_holds_all_modes_with_its_margin():
    plane = plane_through(np.array([[0.0, 0.0], [4.0, 0.0], [-1.0, 2.0]]))
    grid = plane.grid(11, 0.2)
    assert grid.shape == (121, 2)
    assert grid.min(axis=0) == pytest.approx([-2.0, -0.4])
    assert grid.max(axis=0) == pytest.approx([5.0, 2.4])
    picture = grid.reshape(11, 11, 2)
    assert (np.diff(picture[..., 0], axis=1) > 0).all()
    assert (np.diff(picture[..., 1], axis=0) > 0).all()


def test_what_is_no_curve_or_plane_is_refused():
    with pytest.raises(ValueError, match="two ends"):
        parameters_along(1)
    for wrong in ([1.5], [-0.1], [np.nan], [[0.5]]):
        for weights in (line_weights, bezier_weights):
            with pytest.raises(ValueError, match="from 0 to 1"):
                weights(np.array(wrong))
    with pytest.raises(ValueError, match="do not go together"):
        combined(np.ones((1, 2)), np.ones((3, 4)))
    line = np.outer([0.0, 1.0, 3.0], np.random.default_rng(5).normal(size=30))
    for modes in (line, line[[0, 0, 1]], line[[0, 1, 0]], line[[0, 0, 0]]):
        with pytest.raises(ValueError, match="one line"):
            plane_through(modes)
    with pytest.raises(ValueError, match="three finite ones"):
        plane_through(line[:2])
