"""Metrics of generated clips: correlation, colours that stay on their way, and masks."""

import numpy as np
import pytest

from openuni.benchmark.metrics.plain import flicker
from openuni.benchmark.metrics.video import correlation, foreground_iou, warp_error


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_correlation_is_numpys_and_blind_to_scale_and_shift(rng):
    a, b = rng.normal(size=(2, 3, 5, 6)).astype(np.float32)
    valid = rng.random((3, 5, 6)) < 0.7
    expected = np.corrcoef(a[valid], b[valid])[0, 1]
    assert correlation(a, b, valid) == pytest.approx(expected, abs=1e-6)  # float32 values
    assert correlation(7 * a - 3, b, valid) == pytest.approx(expected, abs=1e-5)
    assert correlation(-a, a, valid) == pytest.approx(-1)


def test_correlation_of_a_constant_or_of_nothing_is_undefined(rng):
    a = rng.normal(size=(2, 3, 3)).astype(np.float32)
    assert np.isnan(correlation(a, np.ones_like(a), np.ones(a.shape, bool)))
    assert np.isnan(correlation(a, a, np.zeros(a.shape, bool)))


def shifted(rng, dx, dy, frames=4, size=(20, 24)):
    """A picture that moves by whole pixels, and its flow."""
    big = rng.integers(0, 256, (60, 60, 3), dtype=np.uint8)
    rgb = np.stack([big[20 - dy * t : 40 - dy * t, 20 - dx * t : 44 - dx * t] for t in range(frames)])
    flow = np.broadcast_to(np.array([dx, dy], np.float32), (frames, *size, 2)).copy()
    return rgb, flow, np.ones((frames, *size), bool)


def test_a_picture_that_shifts_along_its_flow_has_no_warp_error(rng):
    rgb, flow, everywhere = shifted(rng, 3, -2)
    assert warp_error(rgb, flow, everywhere, everywhere) == 0
    assert warp_error(rgb, np.zeros_like(flow), everywhere, everywhere) > 20


def test_warp_error_is_the_mean_grey_level_of_a_double_loop(rng):
    rgb = rng.integers(0, 256, (3, 6, 7, 3), dtype=np.uint8)
    valid, where = rng.random((2, 3, 6, 7)) < 0.6
    flow = np.zeros((3, 6, 7, 2), np.float32)
    flow[..., 0] = 1
    found = []
    for t in range(2):
        for y in range(6):
            for x in range(6):  # the last column leaves the picture
                if valid[t, y, x] and where[t, y, x]:
                    found.append(np.abs(rgb[t + 1, y, x + 1].astype(int) - rgb[t, y, x]).mean())
    assert warp_error(rgb, flow, valid, where) == pytest.approx(np.mean(found))
    assert np.isnan(warp_error(rgb, flow, valid, np.zeros_like(where)))


def test_flicker_counts_only_pixels_that_are_outside_in_both_frames():
    rgb = np.zeros((3, 4, 4, 3), np.uint8)
    rgb[1, :2] = 255
    where = np.ones((3, 4, 4), bool)
    assert flicker(rgb) == pytest.approx(50)
    where[1, :2] = False
    assert flicker(rgb, where) == 0
    assert np.isnan(flicker(rgb, np.zeros_like(where)))


def test_foreground_iou_is_counted_over_the_clip():
    a, b = np.zeros((2, 2, 4), bool), np.zeros((2, 2, 4), bool)
    a[0], b[0, :, :2], b[1, 0] = True, True, True
    assert foreground_iou(a, b) == 4 / 12
    assert np.isnan(foreground_iou(~a & a, ~b & b))
