"""Alignments against numpy's least squares and a linear program; invariances; what has no meaning says so."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from openuni.benchmark.metrics.depth import abs_rel, delta
from openuni.benchmark.metrics.depth_alignment import (
    ALIGNMENTS,
    adam_steps,
    align,
    depth_mask,
    least_absolute,
    least_absolute_scale,
    least_squares,
)

RNG = np.random.default_rng(7)
TRUE = RNG.uniform(1, 20, (3, 6, 8)).astype(np.float32)
NOISY = (1 / TRUE * RNG.uniform(0.9, 1.1, TRUE.shape)).astype(np.float32)  # disparity within 10 %
ALL = np.ones(TRUE.shape, bool)


def aligned(name, predicted, kind="relative_disparity", true=TRUE, valid=ALL):
    found = align(name, predicted, kind, true, valid)
    assert found is not None
    return found


def test_least_squares_is_numpys():
    x, y = RNG.normal(5, 2, 50), RNG.normal(0, 1, 50)
    expected = np.linalg.lstsq(np.stack([x, np.ones(50)], 1), y, rcond=None)[0]
    assert least_squares(x, y) == pytest.approx(tuple(expected))


def lad_by_linear_program(x, y, *, shift):
    """min sum e with -e <= s x + t - y <= e."""
    n = len(x)
    columns = [x, np.ones(n)] if shift else [x]
    free = np.stack(columns, 1)
    bounds = [(None, None)] * len(columns) + [(0, None)] * n
    cost = np.concatenate([np.zeros(len(columns)), np.ones(n)])
    constraints = np.block([[free, -np.eye(n)], [-free, -np.eye(n)]])
    return linprog(cost, A_ub=constraints, b_ub=np.concatenate([y, -y]), bounds=bounds).fun


@pytest.mark.parametrize("seed", range(4))
def test_least_absolute_reaches_the_minimum_of_a_linear_program(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(1, 10, 41)
    y = 3 * x - 2 + rng.normal(0, 0.5, 41)
    y[:6] += 40  # what a least squares fit would follow
    fit = least_absolute(x, y)
    cost = np.abs(fit.scale * x + fit.shift - y).sum()
    assert cost == pytest.approx(lad_by_linear_program(x, y, shift=True), rel=1e-6)
    scale = least_absolute_scale(x, np.abs(y)).scale
    assert np.abs(scale * x - np.abs(y)).sum() == pytest.approx(
        lad_by_linear_program(x, np.abs(y), shift=False), rel=1e-6
    )


def test_disp_ls_is_depthcrafters_by_hand():
    """The published steps written out: lstsq to 1 / G, clip to 1e-3, invert, clip to the set's max depth."""
    x = np.stack([NOISY.ravel(), np.ones(NOISY.size)], 1).astype(np.float64)
    scale, shift = np.linalg.lstsq(x, 1 / TRUE.ravel().astype(np.float64), rcond=None)[0]
    expected = np.clip(1 / np.maximum(scale * NOISY.astype(np.float64) + shift, 1e-3), 1e-3, 70)
    np.testing.assert_allclose(aligned("disp-ls", NOISY).depth, expected, rtol=1e-6)  # float32


@pytest.mark.parametrize("kind", ["relative_disparity", "metric_depth"])
@pytest.mark.parametrize("name", ALIGNMENTS)
def test_a_perfect_estimate_is_perfect_under_every_alignment(name, kind):
    if ALIGNMENTS[name].metric_only and kind != "metric_depth":
        assert align(name, 1 / TRUE, kind, TRUE, ALL) is None
        return
    found = aligned(name, TRUE if kind == "metric_depth" else 1 / TRUE, kind)
    rest = 1e-4 if name == "monst3r" else 1e-6  # Adam's steps never come to rest; float32
    assert abs_rel(found.depth, TRUE, found.valid) < rest
    assert found.flags == () and found.fit.scale == pytest.approx(1, abs=1e-4 if name == "monst3r" else 1e-5)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(0.01, 100), shift=st.floats(-5, 5))
def test_disp_ls_does_not_care_for_scale_and_shift_of_disparity(scale, shift):
    other = (scale * NOISY.astype(np.float64) + shift * scale).astype(np.float32)
    first, second = aligned("disp-ls", NOISY), aligned("disp-ls", other)
    # float32 holds a shifted map to 1e-7 of the shift, some 1e-5 of the disparities here.
    assert abs_rel(second.depth, TRUE, ALL) == pytest.approx(abs_rel(first.depth, TRUE, ALL), rel=1e-3)


def test_depth_ls_is_numpys_least_squares_in_depth():
    depth = (1 / NOISY).astype(np.float32)
    x = np.stack([depth.ravel(), np.ones(depth.size)], 1).astype(np.float64)
    scale, shift = np.linalg.lstsq(x, TRUE.ravel().astype(np.float64), rcond=None)[0]
    expected = np.clip(scale * depth.astype(np.float64) + shift, 1e-3, 70)
    np.testing.assert_allclose(aligned("depth-ls", NOISY).depth, expected, rtol=1e-6)  # float32


@pytest.mark.parametrize("unit", [1.0, 0.01])
def test_adam_steps_are_torchs_adam(unit):
    """MonST3R's loop written with torch; the estimate 0..1 cannot reach the truth in metres."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    y = rng.uniform(1, 20, 60)
    x = unit * (y + 3 + rng.normal(0, 0.5, 60))
    at = [torch.tensor([value], requires_grad=True, dtype=torch.float64) for value in (np.median(y) / np.median(x), 0)]
    steps, last = torch.optim.Adam(at, lr=1e-4), None
    for _ in range(1000):
        steps.zero_grad()
        loss = torch.abs(at[0] * torch.from_numpy(x) + at[1] - torch.from_numpy(y)).sum()
        loss.backward()
        steps.step()
        if last is not None and abs(last - loss.item()) < 1e-6:
            break
        last = loss.item()
    # Signs flip at zero errors: two sums of the same numbers may differ in the last bit, and then one step of 1e-4.
    assert adam_steps(x, y) == pytest.approx([one.item() for one in at], abs=2e-4)
    assert abs(adam_steps(x, y).shift) < 0.15  # about 1e-4 a step, and a fit needs -3


def test_adam_steps_depend_on_the_unit_and_the_exact_fit_does_not():
    depth = (0.5 * TRUE + 2).astype(np.float32)  # right up to scale and shift
    errors = {
        name: [abs_rel(aligned(name, unit * depth, "metric_depth").depth, TRUE, ALL) for unit in (1, 0.02)]
        for name in ("monst3r", "depth-lad")
    }
    assert max(errors["depth-lad"]) < 1e-5 and min(errors["monst3r"]) > 0.05
    assert abs(errors["monst3r"][0] - errors["monst3r"][1]) > 0.005


@pytest.mark.parametrize("name", ["depth-ls", "depth-lad", "scale", "median"])
def test_scale_invariant_alignments_do_not_care_for_the_unit(name):
    depth = (1 / NOISY).astype(np.float32)
    metres, centimetres = aligned(name, depth, "metric_depth"), aligned(name, 100 * depth, "metric_depth")
    np.testing.assert_allclose(centimetres.depth, metres.depth, rtol=1e-4)  # the golden section's bracket differs
    assert abs_rel(aligned("none", 100 * depth, "metric_depth").depth, TRUE, ALL) > 1


def test_more_noise_is_worse_under_every_alignment():
    noise = np.random.default_rng(1).normal(0, 1, TRUE.shape)
    for name in ALIGNMENTS:
        errors = []
        for strength in (0.0, 0.02, 0.05, 0.1):
            depth = (TRUE * np.exp(strength * noise)).astype(np.float32)
            errors.append(abs_rel(aligned(name, depth, "metric_depth").depth, TRUE, ALL))
        assert errors == sorted(errors) and errors[-1] > errors[1]


def test_an_inverted_estimate_and_a_constant_one_are_flagged():
    # Depth in disparity's place is turned over by a negative scale.
    assert aligned("disp-ls", TRUE).flags == ("inverted",)
    constant = aligned("disp-ls", np.full_like(TRUE, 0.5))
    assert constant.flags == ("constant",)
    # The best constant disparity is the mean of the true ones.
    np.testing.assert_allclose(constant.depth, 1 / np.mean(1 / TRUE), rtol=1e-6)


def test_pixels_that_are_no_number_are_left_out_and_counted():
    holes = NOISY.copy()
    holes[0, 0, :3] = np.nan
    found = aligned("disp-ls", holes)
    assert found.flags == ("unusable:3",) and found.valid.sum() == TRUE.size - 3
    assert math.isfinite(abs_rel(found.depth, TRUE, found.valid))


def test_infinitely_far_becomes_the_max_depth():
    far = NOISY.copy()
    far[0, 0, 0] = 0
    for name in ("depth-lad", "scale", "median"):
        assert aligned(name, far).depth[0, 0, 0] == 70
    sky = (1 / NOISY).astype(np.float32)
    sky[0, 0, 0] = np.inf
    assert aligned("none", sky, "metric_depth").depth[0, 0, 0] == 70
    assert aligned("disp-ls", sky, "metric_depth").valid.all()


def test_sky_far_pixels_and_excluded_pixels_are_not_scored():
    true = np.array([[[np.inf, 80.0, 69.0, 5.0, 0.0]]], np.float32)
    valid = np.array([[[True, True, True, False, True]]])
    assert depth_mask(true).tolist() == [[[False, False, True, True, False]]]
    assert depth_mask(true, valid).tolist() == [[[False, False, True, False, False]]]
    assert depth_mask(true, max_depth_m=100).tolist() == [[[False, True, True, True, False]]]


def test_nothing_to_fit_gives_nothing_and_a_wrong_name_is_refused():
    assert align("disp-ls", NOISY, "relative_disparity", TRUE, ~ALL) is None
    with pytest.raises(ValueError, match="unknown alignment 'ls'"):
        align("ls", NOISY, "relative_disparity", TRUE, ALL)
    with pytest.raises(ValueError, match="shapes differ"):
        align("disp-ls", NOISY[:1], "relative_disparity", TRUE, ALL)


def test_one_alignment_serves_the_whole_clip():
    """Frames of one scene whose scale drifts cannot be aligned away: that is what a clip's alignment is for."""
    drifting = (TRUE * np.array([1.0, 1.3, 1.7])[:, None, None]).astype(np.float32)
    assert abs_rel(aligned("median", drifting, "metric_depth").depth, TRUE, ALL) > 0.15
    assert delta(aligned("disp-ls", drifting, "metric_depth").depth, TRUE, ALL) < 1
