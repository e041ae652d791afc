"""Parts of depth from motion: the scale graph, filling, carrying along the flow, readings."""

import numpy as np
import pytest

from openuni.annotators.along_flow import Layer, spread
from openuni.annotators.fill import guided_upsample, pull_push
from openuni.annotators.reading import Reading, correlations, links, merge, outvoted
from openuni.annotators.scale_graph import Link, solve_scales


def test_consistent_ratios_give_back_the_scales() -> None:
    true = np.array([0.3, -0.1, 0.5, -0.7])
    ratios = [Link(a, b, true[b] - true[a]) for a, b in ((0, 1), (1, 2), (2, 3), (0, 3))]
    np.testing.assert_allclose(solve_scales(4, ratios), true - true.mean(), atol=1e-9)


def test_one_wrong_ratio_among_many_hardly_moves_the_scales() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=8)
    ratios = [Link(a, b, true[b] - true[a]) for a in range(8) for b in range(a + 1, 8)]
    ratios[3] = ratios[3]._replace(value=ratios[3].value + 2)
    np.testing.assert_allclose(solve_scales(8, ratios), true - true.mean(), atol=0.01)


def test_what_is_not_linked_to_the_largest_group_has_no_scale() -> None:
    scales = solve_scales(5, [Link(0, 1, 0.0), Link(1, 2, 0.0), Link(3, 4, 0.0)])
    np.testing.assert_array_equal(np.isnan(scales), [False, False, False, True, True])
    assert solve_scales(0, []).shape == (0,)


def test_filling_keeps_what_is_known_and_stays_between_its_ends() -> None:
    rng = np.random.default_rng(1)
    values = rng.uniform(2, 5, (37, 50)).astype(np.float32)
    known = rng.random((37, 50)) < 0.2
    filled = pull_push(np.where(known, values, 0), known.astype(np.float32))
    np.testing.assert_allclose(filled[known], values[known], rtol=1e-5)
    assert filled.min() >= 2 - 1e-4 and filled.max() <= 5 + 1e-4


def test_a_gap_takes_the_value_of_its_surroundings() -> None:
    values = np.full((64, 64), 1.0, np.float32)
    values[:, 32:] = 3.0
    known = np.ones((64, 64), np.float32)
    known[30:34, 8:12] = 0
    np.testing.assert_allclose(pull_push(values * known, known)[30:34, 8:12], 1.0, atol=1e-3)


def test_filling_from_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="pull_push needs a pixel of weight above 0, got none"):
        pull_push(np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32))


def test_upsampling_puts_the_edge_where_the_guide_has_it() -> None:
    import cv2

    guide = np.zeros((60, 80), np.float32)
    guide[:, 38:] = 1.0
    small = cv2.resize(guide, (20, 15), interpolation=cv2.INTER_AREA)
    up = guided_upsample(2 + 3 * small, small, guide, radius=2, epsilon=1e-4)
    np.testing.assert_allclose(up, 2 + 3 * guide, atol=0.1)  # a map that is linear in the guide is found again
    np.testing.assert_allclose(
        guided_upsample(np.full_like(small, 7), small, guide, radius=2, epsilon=1e-3), 7, rtol=1e-5
    )


def test_frames_between_two_known_ones_are_blended_in_proportion() -> None:
    still = [np.zeros((6, 8, 2), np.float32)] * 3
    everywhere = np.ones((6, 8), bool)
    known = {
        0: Layer(np.full((6, 8), 1.0, np.float32), everywhere),
        3: Layer(np.full((6, 8), 4.0, np.float32), everywhere),
    }
    found = spread(known, still)
    for layer, value in zip(found, (1, 2, 3, 4), strict=True):
        np.testing.assert_allclose(layer.values, value, rtol=1e-5)
        assert layer.valid.all()


def test_a_map_travels_with_the_flow_and_ends_where_it_leaves() -> None:
    right = [np.full((5, 12, 2), [2, 0], np.float32)]
    values = np.tile(np.arange(12, dtype=np.float32), (5, 1))
    after = spread({0: Layer(values, np.ones((5, 12), bool))}, right)[1]
    np.testing.assert_allclose(after.values[:, 2:], values[:, :-2], atol=1e-5)
    assert after.valid[:, 2:].all() and not after.valid[:, :2].any()


def reading(pair: int, values: np.ndarray) -> Reading:
    return Reading(pair, values.astype(np.float32), np.full(values.shape, 100, np.float16))


def test_readings_of_one_frame_tie_their_baselines_together_and_merge_to_the_truth() -> None:
    rng = np.random.default_rng(2)
    true = rng.uniform(0.1, 0.5, (80, 80))
    baselines = np.array([1.0, 2.0, 0.5])
    frame = [reading(pair, true * baseline) for pair, baseline in enumerate(baselines)]
    np.testing.assert_allclose([link.value for link in links(frame)], np.log([2, 0.5, 0.25]), atol=1e-5)
    layer, disagreement = merge(frame, baselines, max_disagreement=0.3)
    assert layer.valid.all() and disagreement < 1e-5
    np.testing.assert_allclose(layer.values, true, rtol=1e-4)


def test_one_wrong_reading_of_three_is_outvoted_and_its_pixels_are_not_valid() -> None:
    true = np.full((40, 40), 0.2)
    wrong = true.copy()
    wrong[10:20, 10:20] = 1.0
    layer, _ = merge([reading(0, true), reading(1, true), reading(2, wrong)], np.ones(3), max_disagreement=0.3)
    assert np.abs(layer.values[layer.valid] - 0.2).max() < 1e-3
    assert not layer.valid[11:19, 11:19].any() and layer.valid[25:, 25:].all()


def test_correlation_is_one_for_the_same_depth_at_any_scale_and_about_zero_for_noise() -> None:
    rng = np.random.default_rng(3)
    true = rng.uniform(0.1, 1, (120, 120))
    assert correlations([reading(0, true), reading(1, 3 * true)]) == [Link(0, 1, pytest.approx(1.0))]
    noise = correlations([reading(0, true), reading(1, rng.uniform(0.1, 1, (120, 120)))])
    assert abs(noise[0].value) < 0.15  # 900 pixels: 1 / sqrt(900) is 0.03
    assert correlations([reading(0, true)]) == []


def test_a_pair_that_turned_depth_inside_out_is_outvoted() -> None:
    true = np.random.default_rng(4).uniform(0.1, 1, (80, 80))
    assert outvoted(correlations([reading(0, true), reading(1, 1.1 - true), reading(2, 2 * true)])) == {1}
    assert outvoted([]) == set()
