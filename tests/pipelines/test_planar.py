"""Planar: motions and epipoles that are known, with points that do not take part."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openuni.pipelines.planar import (
    MIN_POINTS,
    REST,
    Similarity,
    fit_plane,
    fit_similarity,
    parallax_share,
    sampled_similarity,
)

NOISE = 0.001  # longer sides: a third of a pixel at 320


def grid(rows=9, columns=16):
    """Points over a 16:9 picture."""
    y, x = np.mgrid[:rows, :columns]
    return ((x + 0.5) / columns - 0.5 + 1j * ((y + 0.5) / rows - 0.5) * 9 / 16).ravel()


@settings(max_examples=30, deadline=None)
@given(
    shift=st.complex_numbers(max_magnitude=0.1),
    scale=st.floats(0.9, 1.1),
    angle=st.floats(-0.1, 0.1),
)
def test_similarity_is_recovered(shift, scale, angle):
    points, turn = grid(), scale * np.exp(1j * angle) - 1
    got = fit_similarity(points, shift + turn * points, np.ones(len(points)))
    assert got == pytest.approx((shift, turn), abs=1e-9)


def test_motion_that_most_points_share_is_found_among_points_that_move_otherwise():
    points, rng = grid(), np.random.default_rng(0)
    truth = Similarity(0.03 - 0.01j, 1.02 * np.exp(0.03j) - 1)
    steps = truth.shift + truth.turn * points + NOISE / 3 * rng.normal(size=(2, len(points))).T @ [1, 1j]
    other = rng.permutation(len(points))[: round(0.4 * len(points))]
    steps[other] = -0.05 + 0.02j + 0.03 * rng.normal(size=(2, len(other))).T @ [1, 1j]
    start = sampled_similarity(points, steps, NOISE)
    made = fit_plane(points, steps, start, NOISE, coarse=True)
    rest = np.setdiff1d(np.arange(len(points)), other)
    expected = truth.shift + truth.turn * points
    assert np.abs(made - expected)[rest].max() < NOISE


def test_rest_is_preferred_to_a_mover_of_nearly_the_same_size():
    points = grid()
    for moving, expected in ((0.54, REST), (0.7, Similarity(0.04 + 0j, 0j))):
        steps = np.where(np.arange(len(points)) < moving * len(points), 0.04 + 0j, 0j)
        assert sampled_similarity(points, steps, NOISE) == pytest.approx(expected, abs=1e-6)


def test_turning_camera_is_a_plane():
    """x' = f tan(atan(x / f) - a) and the same for y: a pan of 5 degrees through a lens of 80 degrees of view."""
    points, focal, angle = grid(), 0.6, np.radians(5)
    x, y = points.real, points.imag
    depth = focal * np.cos(angle) + x * np.sin(angle)
    moved = focal * (x * np.cos(angle) - focal * np.sin(angle)) / depth + 1j * focal * y / depth
    steps = moved - points
    made = fit_plane(points, steps, sampled_similarity(points, steps, NOISE), NOISE, coarse=True)
    # The steps differ by 0.038 over the picture; what is left is of third order.
    assert np.ptp(steps.real) > 0.035
    assert np.abs(made - steps).max() < 0.002


def test_departures_towards_one_point_are_parallax_and_others_are_not():
    points, rng = grid(), np.random.default_rng(1)
    noise = np.full(len(points), NOISE / 3)
    depth = rng.uniform(0.02, 0.1, len(points)) * rng.choice([-1, 1], len(points))
    inside, far = depth * (points - (0.1 - 0.05j)), depth * np.exp(0.3j)  # an epipole in the picture, and a far one
    anywhere = np.abs(depth) * np.exp(2j * np.pi * rng.uniform(size=len(points)))
    assert parallax_share(points, inside, noise) > 0.9
    assert parallax_share(points, far, noise) > 0.9
    assert parallax_share(points, anywhere, noise) < 0.15
    half = np.where(np.arange(len(points)) % 2 == 0, inside, anywhere)
    assert 0.4 < parallax_share(points, half, noise) < 0.65


def test_few_departures_show_no_parallax():
    points = grid()[: MIN_POINTS - 1]
    assert parallax_share(points, np.full(len(points), 0.1 + 0j), np.full(len(points), NOISE)) == 0.0
