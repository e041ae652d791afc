"""GPS by hand on the tables' own points, against straight paths on simple surfaces, and in pictures of people."""

import math

import numpy as np
import pytest
from scipy.sparse.csgraph import dijkstra

from openuni.benchmark.metrics.body_distance import skin_distances, surface_points
from openuni.benchmark.metrics.densepose_gps import COARSE, KAPPA_M, gps, gps_ap, point_similarity, similarities
from openuni.benchmark.synth.body import REST_HEIGHT, body_of
from openuni.benchmark.synth.geodesics import spread, surface_graph, vertex_charts

LEFT_HAND, RIGHT_HAND, LEFT_FOOT, TRUNK_FRONT, TRUNK_BACK = 4, 3, 5, 2, 1


def prism(sides=20, rows=40, radius=0.05, step=0.016):
    """A closed band of right triangles, and distances on it from one vertex: it unrolls into a plane."""
    angle, z = np.meshgrid(np.arange(sides) * 2 * np.pi / sides, np.arange(rows) * step)
    vertices = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], -1).reshape(-1, 3)
    first = (np.arange(rows - 1)[:, None] * sides + np.arange(sides)).ravel()
    right = first - first % sides + (first + 1) % sides
    faces = np.concatenate(
        [np.stack(one, -1) for one in ((first, right, first + sides), (right, right + sides, first + sides))]
    )
    around = np.minimum(np.arange(sides), sides - np.arange(sides)) * 2 * radius * np.sin(np.pi / sides)
    source = rows // 2 * sides
    true = np.hypot(around[None], (np.arange(rows) - rows // 2)[:, None] * step).ravel()
    return vertices, faces, source, true


def test_paths_on_a_prism_are_those_of_its_plane_and_shorter_with_more_points_on_edges():
    vertices, faces, source, true = prism()
    errors = []
    for points in (0, 1, 3):
        graph = surface_graph(vertices, faces, points)
        found = dijkstra(graph, directed=False, indices=source)[: len(vertices)]
        assert (found >= true - 1e-9).all()  # no path is shorter than the shortest
        errors.append((found[true > 0.03] / true[true > 0.03] - 1).mean())
    assert errors[0] > 0.1 > errors[1] > errors[2] and errors[2] < 0.012


def test_landmarks_are_spread_over_the_whole_surface():
    vertices, faces, _, _ = prism(rows=20)
    chosen, far = spread(surface_graph(vertices, faces, 1), len(vertices), 12)
    assert len(set(chosen.tolist())) == 12 and far.shape == (12, len(vertices))
    between = far[:, chosen] + np.diag(np.full(12, np.inf))
    assert far.min(axis=0).max() < between.min() + 1e-6  # nothing is farther from all than they are from each other


def middle(part):
    return surface_points(np.array([part]), np.array([[0.5, 0.5]]))


def test_distances_along_the_skin_are_plausible_and_a_metric():
    hands = skin_distances(middle(LEFT_HAND), middle(RIGHT_HAND))[0]
    hand_foot = skin_distances(middle(LEFT_HAND), middle(LEFT_FOOT))[0]
    assert 1.4 < hands < 2.1 and 1.2 < hand_foot < 2.2  # arms of some 0.7 m and a trunk between them
    front_back = skin_distances(middle(TRUNK_FRONT), middle(TRUNK_BACK))[0]
    assert 0.25 < front_back < 0.6  # around the trunk, which is 0.2 m thick
    rng = np.random.default_rng(0)
    a, b, c = (surface_points(rng.integers(1, 25, 500), rng.random((500, 2))) for _ in range(3))
    assert (skin_distances(a, a) == 0).all()
    np.testing.assert_array_equal(skin_distances(a, b), skin_distances(b, a))
    # Landmarks stand for points some centimetres away.
    assert (skin_distances(a, c) <= skin_distances(a, b) + skin_distances(b, c) + 0.1).all()


@pytest.fixture(scope="module")
def body():
    return body_of(REST_HEIGHT, 1.0)


def test_a_surface_point_is_where_the_bodys_own_charts_have_it(body):
    part, uv = vertex_charts(body)
    found = surface_points(part, uv)
    off = np.linalg.norm(body.vertices[found] - body.vertices, axis=-1)
    # Cells of a centimetre, vertices 1.6 cm apart; a few lie where a chart folds, at fingers and feet.
    assert np.median(off) < 0.012 and np.quantile(off, 0.99) < 0.05
    assert (part[found] == part).all()


def test_distances_are_those_of_paths_between_the_points_themselves(body):
    graph = surface_graph(body.vertices, body.faces)
    rng = np.random.default_rng(2)
    sources = rng.choice(len(body.vertices), 2, replace=False)
    for source in sources:
        true = dijkstra(graph, directed=False, indices=source)[: len(body.vertices)]
        found = skin_distances(np.full(len(true), source), np.arange(len(true)))
        error = np.abs(found - true)
        assert error.mean() < 0.02 and np.quantile(error, 0.99) < 0.05  # metres; landmarks are 4 to 5 cm apart


def test_similarity_of_points_is_the_formula_with_kappa_of_the_true_part():
    part = np.array([LEFT_FOOT, TRUNK_FRONT])
    uv = np.array([[0.1, 0.3], [0.5, 0.5]])
    other = np.array([[0.6, 0.8], [0.5, 0.9]])
    far = skin_distances(surface_points(part, uv), surface_points(part, other))
    kappa = np.array([0.126, 0.351])
    assert (KAPPA_M[COARSE[part]] == kappa).all() and (far > 0.1).all()
    expected = [math.exp(-(float(g) ** 2) / (2 * k**2)) for g, k in zip(far, kappa, strict=True)]
    assert point_similarity(part, part, other, uv) == pytest.approx(expected)
    assert point_similarity(0 * part, part, other, uv).tolist() == [0, 0]


def people():
    """Two people side by side in two frames: (parts, uv, ids)."""
    parts, ids = np.zeros((2, 2, 12, 20), np.uint8)
    parts[:, 2:10, 2:8], ids[:, 2:10, 2:8] = TRUNK_FRONT, 3
    parts[:, 2:10, 12:18], ids[:, 2:10, 12:18] = LEFT_FOOT, 5
    uv = np.random.default_rng(0).random((*parts.shape, 2))
    return parts, uv, ids


def test_the_truth_is_perfect_and_nobody_is_undefined():
    parts, uv, ids = people()
    assert gps(parts, parts, uv, uv, ids) == gps_ap(parts, parts, uv, uv, ids) == 1
    nobody = np.zeros_like(parts)
    assert gps(nobody, parts, uv, uv, ids) == gps_ap(nobody, parts, uv, uv, ids) == 0
    assert math.isnan(gps(parts, nobody, uv, uv, ids)) and math.isnan(gps_ap(parts, nobody, uv, uv, ids))


def test_a_person_who_is_not_found_costs_half_of_two():
    parts, uv, ids = people()
    one = np.where(ids == 3, parts, 0).astype(np.uint8)
    assert gps(one, parts, uv, uv, ids) == 0.5
    assert gps_ap(one, parts, uv, uv, ids) == 0.5  # precision 1, recall 1/2
    assert gps(one[:1], parts[:1], uv[:1], uv[:1], ids[:1]) == 0.5


def test_pixels_too_many_lower_the_mask_of_the_nearest_person_alone():
    parts, uv, ids = people()
    more = parts.copy()
    more[:, 2:10, 8:10] = TRUNK_FRONT  # a third more, nearer to person 3
    found = similarities(more, parts, uv, uv, ids)
    assert (found.gps == 1).all() and found.found.all() and found.nobody == 0
    assert found.masked.tolist() == pytest.approx([math.sqrt(48 / 64), 1] * 2)
    # 0.866: found at .5 to .85, eight of ten thresholds; the other at all: (8 x 1 + 2 x 1/2 x 1/2) / 10
    assert gps_ap(more, parts, uv, uv, ids) == pytest.approx(0.85)


def test_a_person_where_there_is_none_lowers_precision():
    parts, uv, ids = people()
    true = parts.copy()
    true[1] = 0
    found = similarities(parts, true, uv, uv, ids)
    assert found.nobody == 1 and len(found.gps) == 2
    assert gps(parts, true, uv, uv, ids) == 1
    assert gps_ap(parts, true, uv, uv, ids) == pytest.approx(2 / 3)


def test_errors_that_grow_score_less_and_pixels_that_do_not_count_change_nothing():
    parts, uv, ids = people()
    values = [gps(parts, parts, np.clip(uv + shift, 0, 1), uv, ids) for shift in (0, 0.05, 0.2, 0.5)]
    assert values == sorted(values, reverse=True) and values[-1] < 0.7
    valid = np.ones(parts.shape, bool)
    wrong = parts.copy()
    wrong[:, 4], valid[:, 4] = 17, False
    assert gps(wrong, parts, uv, uv, ids, valid) == gps_ap(wrong, parts, uv, uv, ids, valid) == 1
