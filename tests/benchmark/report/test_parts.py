"""The report's parts: ranking, failures, charts, error pictures, point clouds, PLY."""

import numpy as np
import pytest

from openuni.benchmark.report.answers import Shown
from openuni.benchmark.report.charts import WIDTH, bars
from openuni.benchmark.report.cloud import MOST_POINTS, Cloud, clouds, pack, unproject, write_ply
from openuni.benchmark.report.error_picture import CONFUSED, EXTRA, GREY, MISSED, error_picture, matched_ids
from openuni.benchmark.report.ranking import best_and_worst, failures, ranked, suspicious
from openuni.benchmark.report.tiles import tiles
from openuni.benchmark.summary import summarise
from openuni.benchmark.synth.render import maps_of
from openuni.modality import Map
from tests.benchmark.rendered import small_truth
from tests.benchmark.synthetic_runs import record


def abs_rel(sample, value, **more):
    return record("depth.abs_rel", value, sample, **more)


def test_clips_are_ranked_by_the_mean_over_seeds_and_the_worst_comes_first():
    records = [abs_rel("a", 0.1), abs_rel("b", 0.5), abs_rel("c", 0.2, flags="inverted"), abs_rel("d", None)]
    records += [abs_rel("a", 0.5, seed=1), abs_rel("e", 0.15)]
    order = ranked(records, "depth.abs_rel", "disp-ls", higher_is_better=False)
    assert [(one.sample, one.value) for one in order] == [("e", 0.15), ("c", 0.2), ("a", 0.3), ("b", 0.5)]
    assert order[1].flags == "inverted" and order[2].seed == 0
    best, worst = best_and_worst(order, 1)
    assert ([one.sample for one in best], [one.sample for one in worst]) == (["e"], ["b"])
    best, worst = best_and_worst(order, 3)  # four clips: none twice
    assert ([one.sample for one in best], [one.sample for one in worst]) == (["e", "c", "a"], ["b"])
    assert best_and_worst(order, 0) == ([], [])
    first = ranked(records, "depth.abs_rel", "disp-ls", higher_is_better=True)[0]
    assert first.sample == "b"


def test_failures_are_counted_by_reason_and_flags_apart():
    records = [abs_rel("a", None, flags="absent:static"), record("cpu_s_per_frame", 1.0, "a", protocol="annotator")]
    records += [abs_rel("b", None, flags="error:BadInput"), abs_rel("b", None, flags="error:BadInput", seed=1)]
    records += [abs_rel("c", 0.2, flags="inverted unusable:7"), abs_rel("c", 0.1, flags="inverted")]
    assert failures(records) == {"absent: static": 1, "error: BadInput": 2}
    assert suspicious(records) == {"inverted": 1, "unusable": 1}


def test_bars_have_their_place_on_a_common_axis():
    records = [abs_rel(f"{n}", 0.1 * n, family="x" if n < 4 else "y") for n in range(1, 8)]
    lines = [*summarise(records), *summarise(records, by_family=True)]
    chart = bars(lines, unit="1", higher_is_better=False)
    assert [bar.name for bar in chart.bars] == ["all", "x", "y"] and chart.better == "less is better"
    for bar in chart.bars:
        assert 0 <= bar.x_low < bar.x < bar.x_high <= WIDTH
        assert bar.x == pytest.approx(WIDTH * (bar.mean - chart.low) / (chart.high - chart.low), abs=0.06)
    assert bars(summarise([abs_rel("a", None)]), unit="1", higher_is_better=None) is None


def test_error_pictures_show_where_a_map_is_wrong():
    truth = small_truth()
    maps = maps_of(truth)
    flow = Map(data=truth.flow + np.float32([0, 30]), valid=truth.flow_valid)
    wrong = error_picture("flow", flow, truth, None)
    assert (wrong.frames[0] == 255).all() and (wrong.frames[-1] == GREY).all() and "30.0 px" in wrong.legend
    right = error_picture("depth", maps["depth"], truth, None)
    scored = np.isfinite(truth.depth) & ~truth.refractive
    assert (right.frames[~scored] == GREY).all() and right.frames[scored].max() < 60
    other = truth.segmentation.copy()
    other[:, 1:5, 1] = 0  # missed
    other[:, 1, 6:] = 9  # too much
    other[:, 4, 2] = 9  # of another instance
    picture = error_picture("segmentation", Map(data=other), truth, None).frames[0]
    assert tuple(picture[2, 1]) == MISSED and tuple(picture[1, 7]) == EXTRA and tuple(picture[4, 2]) == CONFUSED


def test_instances_take_the_names_of_those_they_are_matched_with():
    truth = small_truth()
    renamed = np.choose(truth.segmentation, [0, 7, 5]).astype(np.uint8)
    assert (matched_ids(Map(data=renamed), truth) == truth.segmentation).all()
    renamed[:, 0, 0] = 200
    extra = set(np.unique(matched_ids(Map(data=renamed), truth))) - {0, 1, 2}
    assert len(extra) == 1 and extra.pop() > 2


@pytest.mark.parametrize("modality", ["depth", "flow", "segmentation", "skeleton", "densepose"])
def test_every_modality_has_an_error_picture_of_the_truth_s_size(modality):
    truth = small_truth()
    rgb = np.full((*truth.size, 3), 90, np.uint8)
    drawn = error_picture(modality, maps_of(truth)[modality], truth, rgb)
    assert drawn.frames.shape == (*truth.size, 3) and drawn.frames.dtype == np.uint8 and drawn.legend


def test_unprojected_points_project_back_to_their_pixels():
    depth = np.random.default_rng(0).uniform(1, 9, (6, 8))
    intrinsics = np.array([[8.0, 0, 3.5], [0, 9, 2.5], [0, 0, 1]])
    points = unproject(depth, intrinsics) * [1, -1, -1]
    back = points @ intrinsics.T
    v, u = np.indices(depth.shape)
    np.testing.assert_allclose(back[..., :2] / back[..., 2:], np.stack([u, v], axis=-1), atol=1e-12)


def test_the_truth_s_own_cloud_is_the_truth_and_sky_and_glass_are_no_points():
    truth = small_truth()
    shown = Shown(
        task="est", modality="depth", sample="s", truth=truth, rgb=np.full((*truth.size, 3), 7, np.uint8),
        map=maps_of(truth)["depth"],
    )  # fmt: skip
    true, found = clouds(shown)
    assert (true.name, found.name) == ("truth", "prediction")
    np.testing.assert_allclose(found.points, true.points, rtol=1e-5)
    scored = np.isfinite(truth.depth[2]) & ~truth.refractive[2]
    assert len(true.points) == scored.sum() and (true.colours == 7).all()
    assert clouds(Shown(task="est", modality="flow", sample="s")) == []


def test_packed_clouds_keep_their_shape_on_a_common_scale():
    rng = np.random.default_rng(0)
    points = rng.uniform([-1, -1, -4], [1, 1, -3], (20_000, 3)).astype(np.float32)
    one = Cloud("truth", points, rng.integers(0, 255, (20_000, 3), dtype=np.uint8))
    twice = Cloud("prediction", np.float32([0, 0, -3.5]) + (points - np.float32([0, 0, -3.5])) / 2, one.colours)
    true, half = pack([one, twice])
    assert (
        true.number <= MOST_POINTS and len(true.positions) == 6 * true.number and len(true.colours) == 3 * true.number
    )
    spans = [np.ptp(np.frombuffer(cloud.positions, "<i2").astype(int).reshape(-1, 3), axis=0) for cloud in (true, half)]
    np.testing.assert_allclose(spans[0], [65_534, 65_534, 32_767], rtol=0.01)
    np.testing.assert_allclose(spans[1], spans[0] / 2, rtol=0.01)
    assert pack([]) == []


def test_a_ply_file_has_every_point_and_its_colour(tmp_path):
    cloud = Cloud("x", np.arange(6, dtype=np.float32).reshape(2, 3), np.array([[1, 2, 3], [4, 5, 6]], np.uint8))
    write_ply(tmp_path / "x.ply", cloud)
    head, _, body = (tmp_path / "x.ply").read_bytes().partition(b"end_header\n")
    assert head.startswith(b"ply\nformat binary_little_endian 1.0\nelement vertex 2\nproperty float x\n")
    rows = np.frombuffer(body, [("p", "<f4", 3), ("c", "u1", 3)])
    assert (rows["p"] == cloud.points).all() and (rows["c"] == cloud.colours).all()


def test_a_generated_clip_stands_beside_its_condition_and_what_an_expert_sees_in_it():
    truth = small_truth()
    rgb, map = np.full((*truth.size, 3), 90, np.uint8), maps_of(truth)["flow"]
    given = {"modality": "flow", "sample": "s", "rgb": rgb, "frames": rgb, "seen": map, "seen_by": "flow-dis"}
    cond = tiles(Shown(task="cond", condition=map, **given))
    assert [one.name for one in cond] == ["condition", "original", "generated", "seen in it"]
    assert cond[-1].mp4 == cond[0].mp4 and "flow-dis" in cond[-1].legend  # one scale
    joint = tiles(Shown(task="joint", map=map, **given))
    assert [one.name for one in joint] == ["generated RGB", "generated flow", "seen in it", "original"]
    assert [one.name for one in tiles(Shown(task="text", modality="rgb", sample="s", frames=rgb))] == ["generated RGB"]
