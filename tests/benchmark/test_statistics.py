"""Statistics against simulation, theory, and cases by hand: coverage, uniform p, Wilson, Holm, clusters."""

import itertools

import numpy as np
import pytest
from scipy import stats

from openuni.benchmark.statistics import (
    EXACT_CLUSTERS,
    cluster_means,
    clusters_needed,
    holm,
    interval,
    intervals,
    paired_p,
    two_way_interval,
    wilson,
)

SIMULATIONS = 1000


def covered(values, truth, draws=2000):
    """The share of (n, S) sets whose interval has the truth."""
    low, high = intervals(values, draws=draws)
    return float(np.mean((low <= truth) & (truth <= high)))


@pytest.mark.parametrize("clusters", [8, 20, 50])
@pytest.mark.parametrize("kind", ["normal", "exponential", "beta"])
def test_the_interval_covers_the_truth_in_93_to_97_of_100_simulations(kind, clusters):
    rng, shape = np.random.default_rng(7), (clusters, SIMULATIONS)
    values, truth = {
        "normal": (rng.normal(size=shape), 0.0),
        "exponential": (rng.exponential(size=shape), 1.0),  # errors are skewed so
        "beta": (rng.beta(8, 1, shape), 8 / 9),  # and scores near 1 so
    }[kind]
    assert 0.93 <= covered(values, truth) <= 0.97


def test_clusters_are_what_counts_when_clips_of_a_scene_are_alike():
    """30 scenes of 4 clips that share most of their error: by cluster the interval covers, by clip it does not."""
    rng = np.random.default_rng(3)
    clips = rng.normal(size=(30, 1, SIMULATIONS)) + 0.5 * rng.normal(size=(30, 4, SIMULATIONS))
    assert 0.93 <= covered(clips.mean(axis=1), 0.0) <= 0.97
    assert covered(clips.reshape(120, SIMULATIONS), 0.0, draws=500) < 0.80


def test_a_percentile_interval_of_few_skewed_values_falls_short():
    """Why intervals are studentised: the same data, Efron's percentiles."""
    rng = np.random.default_rng(7)
    values = rng.exponential(size=(8, SIMULATIONS))
    means = rng.multinomial(8, np.full(8, 1 / 8), size=2000) @ values / 8
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    assert np.mean((low <= 1) & (high >= 1)) < 0.90


def test_the_interval_of_many_normal_values_is_student_s():
    values = np.random.default_rng(0).normal(5, 2, 400)
    wanted = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    assert interval(values) == pytest.approx(wanted, abs=0.02)  # 10,000 draws: the ends vary by 0.005


@pytest.mark.parametrize("values", [[1.0, 2.0], [0.3, 0.1, 0.9, 0.4], [1.0] * 99 + [0.0]])
def test_few_values_and_nearly_equal_ones_get_student_s_interval(values):
    wanted = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert interval(values) == pytest.approx(wanted)


def test_equal_values_have_an_interval_of_no_width_and_one_value_has_none():
    assert interval([2.1, 2.1, 2.1]) == (2.1, 2.1)
    assert interval([0.1] * 30) == (0.1, 0.1)
    assert interval([2.0]) is None and interval([]) is None


def test_bounds_hold_the_ends_and_a_unit_scales_them():
    values = [0.99, 1.0, 0.9, 0.97, 0.2, 0.99]
    low, high = interval(values)
    assert low < 0 or high > 1
    assert interval(values, bounds=(0, 1)) == (max(low, 0), min(high, 1))
    assert interval([100 * value for value in values]) == pytest.approx((100 * low, 100 * high))


@pytest.mark.parametrize("clusters", [EXACT_CLUSTERS - 2, 25])
def test_p_is_uniform_where_neither_system_is_better(clusters):
    rng = np.random.default_rng(11)
    ps = [paired_p(rng.laplace(size=clusters), flips=999) for _ in range(SIMULATIONS)]
    assert stats.kstest(ps, "uniform").pvalue > 0.05
    assert np.mean(np.array(ps) <= 0.05) == pytest.approx(0.05, abs=0.02)


def test_p_of_few_clusters_is_the_count_of_all_flips():
    differences = np.array([0.4, -0.1, 0.3, 0.25, 0.5])
    flips = [abs(np.dot(signs, differences)) for signs in itertools.product((1, -1), repeat=5)]
    assert paired_p(differences) == np.mean([flip >= abs(differences.sum()) - 1e-12 for flip in flips])
    assert paired_p([1, 1, 1, 1, 1, 1]) == 2 / 2**6
    assert paired_p([0.0, 0.0, 0.0]) == 1.0
    assert paired_p([1.0]) is None


def test_drawn_flips_agree_with_counted_ones_and_with_scipy():
    rng = np.random.default_rng(2)
    differences = rng.normal(0.4, 1, EXACT_CLUSTERS)
    exact = paired_p(differences)
    drawn = paired_p([*differences, *[0.0] * 4])  # zeros change no flip, but there are now too many to count
    assert drawn == pytest.approx(exact, abs=0.01)
    found = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert exact == pytest.approx(found.pvalue)


def test_a_real_difference_is_found():
    assert paired_p(np.random.default_rng(1).normal(1, 1, 40)) == pytest.approx(1 / 10_001)


def test_wilson_is_as_published_and_as_scipy_has_it():
    for successes, number in ((0, 10), (3, 10), (48, 102), (102, 102)):
        wanted = stats.binomtest(successes, number).proportion_ci(0.95, "wilson")
        assert wilson(successes, number) == pytest.approx((wanted.low, wanted.high), abs=1e-12)
    assert wilson(0, 0) is None
    low, high = wilson(48, 102)
    assert (high - low) / 2 == pytest.approx(0.095, abs=0.003)  # Kling's dynamic degree: +- 9.5 points


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_seeds_then_samples_are_averaged_within_a_cluster():
    values = [("s1", "a", 1.0), ("s1", "a", 3.0), ("s1", "b", 6.0), ("s0", "c", 5.0)]
    assert cluster_means(values) == {"s0": 5.0, "s1": 4.0}
    assert list(cluster_means(values)) == ["s0", "s1"] and cluster_means(values[::-1]) == cluster_means(values)


def test_so_many_clusters_as_are_needed_give_the_power():
    rng = np.random.default_rng(0)
    pilot = rng.normal(0.5, 1, 4000)
    needed = clusters_needed(pilot)
    assert needed == pytest.approx((2.802 / 0.5) ** 2, rel=0.1)
    found = [stats.ttest_1samp(rng.normal(0.5, 1, needed), 0).pvalue < 0.05 for _ in range(1000)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)
    assert clusters_needed([1.0, 1.0]) is None and clusters_needed([1.0, -1.0]) is None


def crossed(rng, prompts, raters, *, prompt_sd, rater_sd):
    """A value for each of prompts x raters, with effects of both and noise; the truth is 0."""
    effects = prompt_sd * rng.normal(size=(prompts, 1)) + rater_sd * rng.normal(size=(1, raters))
    table = effects + 0.5 * rng.normal(size=(prompts, raters))
    return [(f"p{i}", f"r{j}", float(table[i, j])) for i in range(prompts) for j in range(raters)]


@pytest.mark.parametrize(("prompts", "raters"), [(24, 3), (24, 8), (12, 12)])
@pytest.mark.parametrize(("prompt_sd", "rater_sd"), [(1.0, 0.0), (0.0, 1.0), (0.7, 0.7)])
def test_two_way_intervals_cover_the_truth_whichever_clusters_matter(prompts, raters, prompt_sd, rater_sd):
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        low, high = two_way_interval(crossed(rng, prompts, raters, prompt_sd=prompt_sd, rater_sd=rater_sd))
        hits += low <= 0 <= high
    # 95 % less three standard deviations of 300 draws; with few clusters of a kind without effect it is wider.
    assert hits / 300 >= 0.91


def test_a_two_way_interval_needs_two_of_each_and_equal_answers_have_wilsons():
    values = [("p", "r", 1.0), ("q", "r", 0.0)]
    assert two_way_interval(values) is None and two_way_interval([("p", "r", 1.0), ("p", "s", 0.0)]) is None
    same = [(p, r, 1.0) for p in "abcd" for r in "xy"]
    assert two_way_interval(same, bounds=(0.0, 1.0)) == wilson(4, 4)
    assert two_way_interval(same) == (1.0, 1.0)


def test_a_two_way_interval_by_hand():
    # Two prompts of means 1 and 0, two raters who agree: by prompt sums of weight x deviation are +-1/4 each, so
    # V = 2 x (1/16) x 2 = 1/4; by rater 0; by cell 4 x (1/8)^2 x 4/3 = 1/12. The larger is 1/4; t with 1 is 12.706.
    values = [("p", "x", 1.0), ("p", "y", 1.0), ("q", "x", 0.0), ("q", "y", 0.0)]
    low, high = two_way_interval(values)
    assert (low, high) == pytest.approx((0.5 - 12.7062 * 0.5, 0.5 + 12.7062 * 0.5), abs=1e-3)
