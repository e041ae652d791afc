"""Camera path: rates over time, computed by hand."""

import numpy as np
import pytest

from openuni.pipelines import camera_path
from openuni.pipelines.camera_path import Gaps

NAN = float("nan")


def gaps(pans, starts_s, length_s, following=1.0, parallax=0.0):
    """Gaps of pans only."""
    rates = np.zeros((len(pans), 4))
    rates[:, 0] = pans
    rates[np.isnan(rates[:, 0])] = NAN
    starts_s = np.asarray(starts_s, dtype=float)
    shares = [np.broadcast_to(np.asarray(share, dtype=float), len(pans)).copy() for share in (following, parallax)]
    return Gaps(np.stack([starts_s, starts_s + length_s], axis=1), rates, *shares, shares[0].copy(), 2 * rates)


def native(pans, **shares):
    return gaps(pans, 0.5 * np.arange(len(pans)), 1 / 30, **shares)


def apart(pans, **shares):
    return gaps(pans, 0.5 * np.arange(len(pans)), 0.5, **shares)


UNKNOWN = np.full(99, NAN)


def test_radius_is_the_rms_distance_of_a_pictures_points():
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, 1601), np.linspace(-9 / 32, 9 / 32, 901))
    assert camera_path.radius_of((90, 160)) == pytest.approx(np.sqrt((x**2 + y**2).mean()), rel=2e-3)  # a sum of strips
    assert camera_path.radius_of((160, 90)) == camera_path.radius_of((90, 160))


def test_lost_gap_is_filled_by_the_mean_of_the_consecutive_frames_in_it():
    joined = camera_path.joined(apart([5.0, NAN, 5.0]), native([4.0, 6.0, 10.0, 7.0]))
    assert joined.rates[:, 0].tolist() == [5.0, 8.0, 5.0]
    assert joined.whole[:, 0].tolist() == [10.0, 16.0, 10.0]
    assert np.isnan(camera_path.joined(apart([NAN, 5.0]), native([NAN, NAN, 7.0])).rates[0, 0])


def test_gap_that_explains_much_less_than_its_consecutive_frames_is_taken_for_lost():
    for explained, expected in ((0.5, 9.0), (0.65, 5.0)):
        joined = camera_path.joined(apart([5.0], following=explained), native([9.0, 9.0]))
        assert joined.rates[0, 0] == expected
    depth = camera_path.joined(apart([5.0], following=0.3, parallax=0.4), native([9.0, 9.0]))
    assert depth.rates[0, 0] == 5.0  # parallax explains too


def test_single_sample_has_its_consecutive_frames_only():
    assert camera_path.joined(apart([]), native([3.0])).rates[:, 0].tolist() == [3.0]


def test_mean_is_over_time():
    path = Gaps(np.array([[0, 0.5], [0.5, 2.5], [2.5, 3.0]]), np.array([[4.0] * 4, [1.0] * 4, [NAN] * 4]), *[None] * 4)
    assert camera_path.mean_rates(path) == pytest.approx([(0.5 * 4 + 2 * 1) / 2.5] * 4)


def test_steady_rates_keep_a_constant_and_lose_what_changes_within_a_second():
    assert camera_path.steady_rates(apart([3.0, 3.0, NAN, 3.0]))[:, 0] == pytest.approx([3.0] * 3)
    swinging = camera_path.steady_rates(apart([3.0, -3.0] * 5))[:, 0]
    # Weights 1/3, 2/3, 1, 2/3, 1/3 at distances of 0.5 s: (1 - 4/3 + 2/3) / 3 of it is left.
    assert np.abs(swinging[2:-2]) == pytest.approx([3.0 / 9] * 6)


def test_constant_and_evenly_changing_motion_is_no_shake():
    for pans in ([5.0] * 6, [1.0, 2.0, 3.0, 4.0, 5.0]):
        assert camera_path.shake_of(native(pans), UNKNOWN[: len(pans)]) == pytest.approx(0.0, abs=1e-12)


def test_shake_is_the_median_departure_from_the_neighbours():
    # Departures: 2 - 1.5 = 0.5, 3 - 1.5 = 1.5, 1 - 2 = 1.
    assert camera_path.shake_of(native([0.0, 2.0, 3.0, 1.0, 1.0]), UNKNOWN[:5]) == pytest.approx(1.0)
    uneven = gaps([0.0, 1.0, 3.0], [0.0, 0.5, 1.5], 1 / 30)  # on a straight line over time
    assert camera_path.shake_of(uneven, UNKNOWN[:3]) == pytest.approx(0.0, abs=1e-12)


def test_shake_of_independent_motion_is_its_rms():
    rng = np.random.default_rng(0)
    path = native(rng.normal(size=4000))
    path.rates[:, 1] = rng.normal(size=4000)
    # 1.02 for two dimensions; 2 %: 4000 moments.
    assert camera_path.shake_of(path, UNKNOWN.repeat(41)[:4000]) == pytest.approx(1.02 * np.sqrt(2), rel=0.03)


def test_pairs_that_stand_still_while_the_camera_moves_tell_nothing():
    pans, moving = [10.0, 0.0, 10.0, 0.0, 10.0, 0.0], np.full(6, 5.0)
    assert camera_path.shake_of(native(pans), moving) == 0.0
    assert camera_path.shake_of(native(pans), UNKNOWN[:6]) == pytest.approx(10.0)
    assert camera_path.shake_of(native(pans[:4]), moving[:4]) is None  # two are left


def test_moments_are_told_by_the_gaps_they_belong_to():
    told = camera_path.around(apart([1.0, 3.0, NAN], following=[0.9, 0.5, 0.7]), np.array([0.0, 0.5, 1.0, 9.0]))
    assert told.fastest[:2].tolist() == [1.0, 3.0] and told.slowest[:2].tolist() == [1.0, 1.0]
    assert np.isnan(told.fastest[2:]).all() and np.isnan(told.slowest[2:]).all()
    assert told.anchored[:3].tolist() == [0.9, 0.5, 0.5]
