"""The judge: truth is perfect under every metric, glass and sky do not count, what is undefined is None with a flag."""

from dataclasses import replace

import numpy as np
import pytest

from openuni.benchmark.judge import JUDGES, judge, person_sizes
from openuni.benchmark.metrics.depth_alignment import ALIGNMENTS
from openuni.benchmark.synth.render import maps_of
from openuni.modality import Map
from openuni.table import METRICS, load
from tests.benchmark.rendered import small_truth

TRUTH = small_truth()
MAPS = maps_of(TRUTH)


def values(modality: str, predicted: Map, truth=TRUTH) -> dict[tuple[str, str], float | None]:
    return {(one.metric, one.protocol): one.value for one in judge(modality, predicted, truth)}


def judged(modality):
    """Metrics of the modality that compare with the truth; depth.correlation compares two estimates."""
    return {name for name in METRICS if name.startswith(modality)} - {"depth.correlation"}


@pytest.mark.parametrize("modality", JUDGES)
def test_the_truth_is_perfect_under_every_metric_and_protocol(modality):
    scored = judge(modality, MAPS[modality], TRUTH)
    assert len(scored) > 3 and {one.metric for one in scored} >= judged(modality)
    for one in scored:
        if one.value is None:
            # No such speed in the clip, and one thing only; masks of the truth have no confidences.
            why = {**dict.fromkeys(("s10-40", "s40+", "things"), "nothing_to_score"), "scored": "no_scores"}
            assert one.flags == (why[one.protocol],)
            continue
        perfect = one.metric.endswith("coverage") or load("metric", METRICS, one.metric).higher_is_better
        # float32; Adam's steps of 1e-4 never come to rest, at 10 m that is a millimetre.
        bound = 1e-3 if one.protocol.startswith("monst3r") else 1e-6
        assert one.value == pytest.approx(1.0 if perfect else 0.0, abs=bound), one
        assert one.valid > 0 and one.flags == (("class_by_match",) if one.metric.endswith("class_miou") else ())


@pytest.mark.parametrize("modality", ["depth", "flow", "segmentation", "densepose"])
def test_glass_does_not_count(modality):
    data = MAPS[modality].data.copy()
    data[TRUTH.refractive] = {"depth": 0.5, "flow": 99.0}.get(modality, 9)
    assert values(modality, replace(MAPS[modality], data=data)) == values(modality, MAPS[modality])


def test_sky_does_not_count_for_depth():
    data = MAPS["depth"].data.copy()
    data[TRUTH.sky] = 1.0
    assert values("depth", replace(MAPS["depth"], data=data)) == values("depth", MAPS["depth"])


def test_depth_is_scored_under_every_alignment_over_all_pixels_and_over_the_annotators_own():
    valid = MAPS["depth"].valid.copy()
    data = MAPS["depth"].data.copy()
    data[:, 3:, 7], valid[:, 3:, 7] = 1.0, False  # wrong, and it says so
    found = values("depth", replace(MAPS["depth"], data=data, valid=valid))
    for name in ALIGNMENTS:
        assert found["depth.abs_rel", name] > 0.02
        assert found["depth.abs_rel", f"{name}-own-valid"] < (1e-4 if name == "monst3r" else 1e-6)
    # 4 x 6 x 8 pixels, less a row of sky and two of glass a frame; three a frame are given up.
    assert found["depth.coverage", "own-valid"] == pytest.approx(1 - 3 / 38)


def test_relative_disparity_has_no_metric_score():
    disparity = np.where(TRUTH.sky, 0, 1 / TRUTH.depth).astype(np.float32)
    relative = Map(data=2 * disparity + 1, valid=MAPS["depth"].valid, facts={"kind": "relative_disparity"})
    scored = {(one.metric, one.protocol): one for one in judge("depth", relative, TRUTH)}
    assert scored["depth.abs_rel", "none"].value is None and scored["depth.abs_rel", "none"].flags == ("no_scale",)
    assert scored["depth.abs_rel", "disp-ls"].value == pytest.approx(0, abs=1e-6)  # float32
    assert scored["depth.abs_rel", "scale"].value > 0.1  # a shift of disparity is no scale of depth


def test_flow_is_scored_apart_where_it_is_occluded():
    data = MAPS["flow"].data.copy()
    data[TRUTH.occluded & TRUTH.flow_valid] += [3.0, 4.0]
    found = values("flow", replace(MAPS["flow"], data=data))
    assert (found["flow.epe", "noc"], found["flow.epe", "occ"]) == (0, 5)
    assert found["flow.out3", "occ"] == 100 and 0 < found["flow.epe", "all"] < 5


def test_flow_that_is_no_number_is_counted():
    data = MAPS["flow"].data.copy()
    data[0, 0, 0] = np.nan
    scored = judge("flow", replace(MAPS["flow"], data=data), TRUTH)
    assert {one.flags for one in scored if one.metric == "flow.epe" and one.value is not None} == {("unusable:1",)}


def test_flow_of_unknown_scale_has_its_error_at_the_best_scale_alone():
    half = replace(MAPS["flow"], data=MAPS["flow"].data / 2, facts={"scale": "unknown"})
    scored = judge("flow", half, TRUTH)
    values = {(one.metric, one.protocol): one.value for one in scored if one.value is not None}
    values.pop(("flow.coverage", "own-valid"))
    assert set(values) == {("flow.epe_scale_aligned", "all"), ("flow.epe_scale_aligned", "noc")}
    assert max(values.values()) < 1e-6
    others = [one for one in scored if one.metric not in ("flow.epe_scale_aligned", "flow.coverage")]
    assert len(others) > 10 and {(one.value, one.flags) for one in others} == {(None, ("no_scale",))}


def test_instances_with_scores_have_a_scored_ap_and_those_without_none():
    data = MAPS["segmentation"].data.copy()
    data[:, 1, 6] = 9  # an instance that is none
    sure = replace(MAPS["segmentation"], data=data, facts={"scores": {"1": 0.9, "2": 0.8, "9": 0.1}})
    found = values("segmentation", sure)
    assert found["segmentation.ap", "scored"] == 1  # the wrong one comes last
    assert found["segmentation.ap", "clip"] == pytest.approx(2 / 3)
    wrong = replace(sure, facts={"scores": {"1": 0.9, "2": 0.8, "9": 1.0}})
    assert values("segmentation", wrong)["segmentation.ap", "scored"] == pytest.approx(2 / 3)
    assert values("segmentation", replace(sure, facts={}))["segmentation.ap", "scored"] is None


def test_classes_of_an_estimate_count_where_it_gives_some():
    swapped = replace(MAPS["segmentation"], facts={"classes": {"1": "person", "2": "box"}})
    scored = {one.metric: one for one in judge("segmentation", swapped, TRUTH)}
    assert scored["segmentation.class_miou"].value == 0 and scored["segmentation.class_miou"].flags == ()
    assert scored["segmentation.miou"].value == 1
    unknown = judge("segmentation", MAPS["segmentation"], replace(TRUTH, classes=None))
    assert [(one.value, one.flags) for one in unknown if one.metric.endswith("class_miou")] == [
        (None, ("truth_has_no_classes",))
    ]


def test_eight_bit_depth_is_flagged():
    coarse = replace(MAPS["depth"], facts={"kind": "metric_depth", "levels": 256})
    flags = {one.flags for one in judge("depth", coarse, TRUTH) if one.metric != "depth.coverage"}
    assert flags == {("levels:256",)}


def test_a_person_that_is_not_found_costs():
    nobody = Map(data=np.zeros((4, 0, 17, 3), np.float32), facts=MAPS["skeleton"].facts)
    assert set(values("skeleton", nobody).values()) == {0.0}


def test_a_depth_map_without_a_valid_pixel_of_its_own_has_the_same_rows_without_values():
    none = replace(MAPS["depth"], valid=np.zeros_like(MAPS["depth"].valid))
    scored = judge("depth", none, TRUTH)
    assert [one[:2] for one in scored] == [one[:2] for one in judge("depth", MAPS["depth"], TRUTH)]
    assert {one.value for one in scored if one.protocol.endswith("-own-valid") and one.flags} == {None}
    assert {one.value for one in scored if one.metric == "depth.coverage"} == {0}


def test_whole_body_joints_are_scored_by_their_first_seventeen():
    data = np.concatenate([MAPS["skeleton"].data, np.ones((4, 1, 116, 3), np.float32)], axis=2)
    assert values("skeleton", replace(MAPS["skeleton"], data=data))["skeleton.oks", "frame"] == pytest.approx(1)


def test_a_drawing_of_thirteen_joints_is_scored_by_pck_over_them_and_says_so():
    thirteen = [joint for joint in range(17) if joint not in (1, 2, 3, 4)]
    data = MAPS["skeleton"].data.copy()
    data[:, :, 1:5] = 0
    drawn = replace(MAPS["skeleton"], data=data, facts={**MAPS["skeleton"].facts, "joints": thirteen})
    scored = {one.metric: one for one in judge("skeleton", drawn, TRUTH)}
    assert all(one.flags[0] == "joints:13_of_17" for one in scored.values())
    found = {metric.partition(".")[2]: one.value for metric, one in scored.items()}
    assert found.pop("oks") is found.pop("ap") is None
    assert len(found) == 6 and all(value == 1 for value in found.values())


def test_a_clip_without_people_has_no_skeleton_score():
    truth = replace(
        TRUTH,
        person_ids=TRUTH.person_ids[:0],
        keypoints=TRUTH.keypoints[:, :0],
        densepose=np.zeros_like(TRUTH.densepose),
    )
    for modality in ("skeleton", "densepose"):
        assert set(values(modality, maps_of(truth)[modality], truth).values()) == {None}


def test_parts_without_uv_are_scored_as_parts():
    scored = {one.metric: one for one in judge("densepose", Map(data=MAPS["densepose"].data), TRUTH)}
    assert scored["densepose.part_iou"].value == 1
    assert scored["densepose.uv_error"].value is None and scored["densepose.uv_error"].flags == ("no_uv",)


def test_sizes_of_people_are_of_their_masks():
    areas, boxes = person_sizes(TRUTH)
    assert areas.tolist() == [[12.0]] * 4 and boxes.tolist() == [[[1.0, 1.0, 4.0, 5.0]]] * 4
    assert np.array_equal(boxes, MAPS["skeleton"].arrays["boxes"])  # the same as the renderer's, found another way
    away = replace(TRUTH, segmentation=np.zeros_like(TRUTH.segmentation))
    assert not person_sizes(away)[0].any() and not person_sizes(away)[1].any()


def test_a_map_of_another_size_is_refused():
    with pytest.raises(ValueError, match="depth has shape"):
        judge("depth", replace(MAPS["depth"], data=MAPS["depth"].data[:2]), TRUTH)


def test_every_clip_has_the_same_rows():
    other = small_truth(frames=2, height=8, width=8)
    for modality in JUDGES:
        rows = [
            [(one.metric, one.protocol) for one in judge(modality, maps_of(one)[modality], one)]
            for one in (TRUTH, other)
        ]
        assert rows[0] == rows[1]
