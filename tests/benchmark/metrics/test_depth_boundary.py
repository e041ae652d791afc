"""Depth boundaries: a step by hand, a plain double loop as witness, and what must not change a score."""

import math

import numpy as np
import pytest

from openuni.benchmark.metrics.depth_boundary import boundary_f1, boundary_precision, boundary_recall

METRICS = (boundary_precision, boundary_recall, boundary_f1)
STEP = np.full((1, 4, 6), 2.0)
STEP[:, :, 3:] = 4.0
ALL = np.ones(STEP.shape, bool)


def scores(predicted, true=STEP, valid=ALL):
    return [metric(predicted, true, valid) for metric in METRICS]


def by_loops(predicted, true, valid):
    """The paper's sums over pixels and their four neighbours, threshold by threshold, frame by frame."""
    thresholds = [1.05 + number * 0.2 / 9 for number in range(10)]
    frames = []
    for p, g, known in zip(predicted, true, valid, strict=True):
        values, weights = [], []
        for threshold in thresholds:
            right = estimated = there = 0
            for y in range(g.shape[0]):
                for x in range(g.shape[1]):
                    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
                        if not (0 <= y + dy < g.shape[0] and 0 <= x + dx < g.shape[1]):
                            continue
                        if not (known[y, x] and known[y + dy, x + dx]):
                            continue
                        mine, theirs = (bool(d[y + dy, x + dx] / d[y, x] > threshold) for d in (p, g))
                        right, estimated, there = right + (mine and theirs), estimated + mine, there + theirs
            if there:
                precision, recall = right / max(estimated, 1), right / there
                f1 = 2 * precision * recall / (precision + recall) if right else 0.0
                values.append((precision, recall, f1))
                weights.append(threshold)
        if values:
            frames.append(np.average(values, axis=0, weights=weights))
    return np.mean(frames, axis=0)


def test_a_step_is_found_at_its_place_and_nowhere_else():
    assert scores(STEP) == [1, 1, 1]
    beside = np.roll(STEP, 1, axis=2)
    beside[:, :, 0] = 2.0
    assert scores(beside) == [0, 0, 0]
    assert scores(np.full_like(STEP, 3.0)) == [0, 0, 0]
    turned = 8 / STEP  # the near side is taken for the far one
    assert scores(turned) == [0, 0, 0]


def test_edges_that_are_none_lower_precision_and_edges_that_are_missing_recall():
    extra = STEP.copy()
    extra[:, :, 5] = 8.0
    assert scores(extra) == [pytest.approx(1 / 2), 1, pytest.approx(2 / 3)]
    part = STEP.copy()
    part[:, 3] = 2.0  # the last row has no step, but one down to it: three of four found, three more made
    assert scores(part) == [pytest.approx(1 / 2), pytest.approx(3 / 4), pytest.approx(0.6)]


def test_a_blurred_step_is_found_at_low_thresholds_alone():
    soft = STEP.copy()
    soft[:, :, 2], soft[:, :, 3] = 2.0, 2.26  # a factor of 1.13, then of 1.77 in the wrong place
    precision, recall, f1 = scores(soft)
    weights = np.linspace(1.05, 1.25, 10)
    assert recall == pytest.approx(weights[weights < 1.13].sum() / weights.sum()) and 0 < precision < recall
    assert 0 < f1 < 0.5


@pytest.mark.parametrize("seed", range(3))
def test_against_a_double_loop(seed):
    rng = np.random.default_rng(seed)
    true = rng.uniform(1, 2, (2, 5, 7))
    predicted = true * rng.uniform(0.8, 1.2, true.shape)
    valid = rng.random(true.shape) < 0.8
    assert scores(predicted, true, valid) == pytest.approx(by_loops(predicted, true, valid))


def test_a_factor_changes_nothing_and_frames_without_an_edge_do_not_count():
    rng = np.random.default_rng(9)
    true = rng.uniform(1, 2, (2, 5, 7))
    predicted = true * rng.uniform(0.9, 1.1, true.shape)
    valid = np.ones(true.shape, bool)
    assert scores(37 * predicted, true, valid) == pytest.approx(scores(predicted, true, valid))
    flat = np.concatenate([true, np.ones((1, 5, 7))]), np.concatenate([predicted, np.ones((1, 5, 7))])
    more = np.ones((3, 5, 7), bool)
    assert scores(flat[1], flat[0], more) == pytest.approx(scores(predicted, true, valid))


def test_invalid_pixels_have_no_edges_and_nothing_to_find_is_undefined():
    hidden = ALL.copy()
    hidden[:, :, 3] = False
    nan = np.where(hidden, STEP, np.nan)
    assert all(math.isnan(one) for one in scores(nan, nan, hidden))
    assert all(math.isnan(one) for one in scores(STEP, np.ones_like(STEP)))
    with pytest.raises(ValueError, match="predicted must start with shape"):
        boundary_f1(STEP[:, :2], STEP, ALL)
