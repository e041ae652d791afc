"""Backward motion to forward flow: truth by hand, by an analytic zoom, and what must stay unknown."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openuni.benchmark.importers.invert import forward_of
from openuni.benchmark.synth.families import make_scene
from openuni.benchmark.synth.geometry import Geometry
from openuni.benchmark.synth.truth import frame_truth

SIZE = (24, 32)


def plane(depth: float = 5.0) -> np.ndarray:
    return np.full(SIZE, depth)


@given(dx=st.floats(-6, 6), dy=st.floats(-6, 6))
@settings(max_examples=25, deadline=None)
def test_a_plane_that_shifts_has_the_same_motion_both_ways(dx, dy):
    found = forward_of(np.broadcast_to([dx, dy], (*SIZE, 2)), plane(), plane())
    assert np.allclose(found.flow[found.known], [dx, dy], atol=1e-9)
    rows, columns = np.indices(SIZE)
    inside = (columns + dx >= 0) & (columns + dx <= SIZE[1] - 1) & (rows + dy >= 0) & (rows + dy <= SIZE[0] - 1)
    assert found.known[inside].all()  # nothing hides it
    outside = (np.abs(columns + dx - (SIZE[1] - 1) / 2) > SIZE[1] / 2) | (
        np.abs(rows + dy - (SIZE[0] - 1) / 2) > SIZE[0] / 2
    )
    assert not found.known[outside].any()


@pytest.mark.parametrize("zoom", [0.93, 0.98, 1.02, 1.07])
def test_a_zoom_is_inverted_to_its_analytic_flow(zoom):
    """p moves to c + zoom (p - c); seen from q: m(q) = (q - c) (1 - 1 / zoom)."""
    rows, columns = np.indices(SIZE)
    grid, centre = np.stack([columns, rows], axis=-1).astype(float), np.array([15.2, 11.7])
    motion = (grid - centre) * (1 - 1 / zoom)
    found = forward_of(motion, plane(5.0), plane(5.0 / zoom**0.5))  # the depth changes too, by less than DEPTH_CHANGE
    expected = (grid - centre) * (zoom - 1)
    landed = grid + expected
    inside = ((landed >= 0) & (landed <= [SIZE[1] - 1, SIZE[0] - 1])).all(axis=-1)
    assert found.known[inside].all()
    # 0.05 px is the residual that is taken; m is linear here, so that what is left is far less.
    assert np.abs(found.flow - expected)[found.known].max() < 1e-3


def test_what_a_thing_covers_stays_unknown_and_the_rest_is_exact():
    """A thing at 2 m moves by (3, 1) before a wall at 6 m at rest."""
    depth, next_depth, motion = plane(6.0), plane(6.0), np.zeros((*SIZE, 2))
    depth[8:16, 10:18] = 2.0
    next_depth[9:17, 13:21] = 2.0
    motion[9:17, 13:21] = 3, 1
    found = forward_of(motion, depth, next_depth)
    thing, covered = depth == 2.0, (next_depth == 2.0) & (depth == 6.0)
    assert found.known[thing].all() and (found.flow[thing] == [3, 1]).all()
    assert not found.known[covered].any() and covered.any()
    rest = ~thing & ~covered
    assert found.known[rest].all() and (found.flow[rest] == 0).all()


def test_a_wall_that_comes_into_view_does_not_pass_for_what_hid_it():
    """The thing is gone in t + 1; the wall behind it moved by nothing, but in t it was not seen there."""
    depth = plane(6.0)
    depth[8:16, 10:18] = 2.0
    found = forward_of(np.zeros((*SIZE, 2)), depth, plane(6.0))
    assert np.array_equal(found.known, depth == 6.0)


def test_sky_is_found_again_as_sky_only():
    depth, next_depth = plane(np.inf), plane(np.inf)
    next_depth[:, :4] = 6.0
    found = forward_of(np.broadcast_to([0.5, 0.0], (*SIZE, 2)), depth, next_depth)
    assert (found.flow[found.known] == [0.5, 0]).all()
    assert not found.known[:, :3].any() and found.known[:, 4:-1].all()


def test_unknown_motion_and_depth_stay_unknown():
    motion, depth = np.zeros((*SIZE, 2)), plane()
    motion[3, 3] = np.nan
    depth[5, 5] = np.nan
    found = forward_of(motion, depth, plane())
    assert not found.known[3, 3] and not found.known[5, 5]
    assert found.known.sum() == SIZE[0] * SIZE[1] - 2


def test_the_renderers_own_flow_comes_back_from_its_motion_in_reverse():
    """Backward motion of t + 1 is the flow from t + 1 to t, turned round; both are exact, by rays of their own."""
    scene = make_scene("one_person", seed=3, number=1, num_frames=6)
    geometry = Geometry(scene)
    (posed, camera), (later, later_camera) = ((geometry.at(t), scene.camera(t, 96, 96)) for t in (4, 5))
    forward = frame_truth(posed, camera, later, later_camera).arrays
    back = frame_truth(later, later_camera, posed, camera).arrays
    motion = np.where(back["flow_valid"][..., None], -back["flow"], np.nan)
    found = forward_of(motion, forward["depth"], back["depth"])
    seen = forward["flow_valid"] & ~forward["occluded"]
    error = np.linalg.norm(found.flow - forward["flow"], axis=-1)
    # Measured on five scenes of 128 px: 94 to 97 % are found, 99.9 % of them within 0.2 px; the rest are edges, where
    # four neighbours lie on two surfaces. Of what is hidden, 0 to 1.6 % pass for seen, where hidden by what is near.
    assert (found.known & seen).sum() > 0.9 * seen.sum()
    assert np.percentile(error[found.known & seen], 99) < 0.1
    assert (found.known & ~seen).sum() < 0.04 * (~seen).sum()
