"""Control: a map agrees with itself perfectly, and what a condition does not tell is not scored."""

from dataclasses import replace

import numpy as np
import pytest

from openuni.benchmark.gen.control import METRICS_OF, compare, disparity_of
from openuni.benchmark.synth.render import maps_of
from openuni.modality import Map
from openuni.table import METRICS, MODALITIES, load
from tests.benchmark.rendered import small_truth


@pytest.fixture
def maps():
    return maps_of(small_truth())


def values(scored):
    return {one.metric: one.value for one in scored}


@pytest.mark.parametrize("name", list(MODALITIES))
def test_a_condition_agrees_with_itself(maps, name):
    found = compare(name, maps[name], maps[name], "control")
    assert [(one.metric, one.protocol) for one in found] == [(metric, "control") for metric in METRICS_OF[name]]
    for one in found:
        perfect = float(bool(load("metric", METRICS, one.metric).higher_is_better))
        assert one.value == pytest.approx(perfect, abs=1e-5) and one.valid > 0, one


def test_disparity_of_metric_depth_is_its_inverse_and_sky_is_infinitely_far():
    data = np.array([[[2.0, 4.0, np.inf, np.nan]]], np.float32)
    disparity, valid = disparity_of(Map(data=data, valid=np.ones(data.shape, bool), facts={"kind": "metric_depth"}))
    assert disparity[0, 0, :3].tolist() == [0.5, 0.25, 0] and valid.tolist() == [[[True, True, True, False]]]


def test_relative_depth_of_the_right_form_is_perfect_and_upside_down_it_is_the_worst(maps):
    disparity, valid = disparity_of(maps["depth"])
    seen = Map(data=3 * disparity + 1, valid=valid, facts={"kind": "relative_disparity"})
    found = values(compare("depth", seen, maps["depth"], "control"))
    assert found["depth.correlation"] == pytest.approx(1) and found["depth.abs_rel"] == pytest.approx(0, abs=1e-5)
    turned = replace(seen, data=-seen.data)
    assert values(compare("depth", turned, maps["depth"], "control"))["depth.correlation"] == pytest.approx(-1)


def test_a_condition_without_a_scale_has_a_correlation_only(maps):
    disparity, valid = disparity_of(maps["depth"])
    condition = Map(data=disparity, valid=valid, facts={"kind": "relative_disparity"})
    found = compare("depth", maps["depth"], condition, "control")
    assert found[0].value == pytest.approx(1)
    assert {(one.value, one.flags) for one in found[1:]} == {(None, ("relative_condition",))}


def test_a_constant_estimate_has_no_correlation_and_says_so(maps):
    flat = replace(maps["depth"], data=np.full_like(maps["depth"].data, 4))
    found = compare("depth", flat, maps["depth"], "control")[0]
    assert found.value is None and found.flags == ("constant", "nothing_to_score")


@pytest.mark.parametrize("name", list(MODALITIES))
def test_another_samples_map_is_brought_to_the_size_and_length(maps, name):
    wanted = maps_of(small_truth(frames=6, height=12, width=16))[name]
    found = compare(name, maps[name], wanted, "shuffled")
    assert len(found) == len(METRICS_OF[name]) and all(one.protocol == "shuffled" for one in found)
    shorter = maps_of(small_truth(frames=3))[name]
    assert len(compare(name, maps[name], shorter, "shuffled")) == len(METRICS_OF[name])


def test_flow_is_scored_where_the_condition_is_valid(maps):
    seen = replace(maps["flow"], data=maps["flow"].data + np.array([3, 4], np.float32))
    assert values(compare("flow", seen, maps["flow"], "control")) == {"flow.epe": pytest.approx(5), "flow.fl": 100}
    only_last = np.zeros(maps["flow"].data.shape[:3], bool)
    found = compare("flow", seen, replace(maps["flow"], valid=only_last), "control")
    assert all(one.value is None and one.flags == ("nothing_to_score",) for one in found)


def test_joints_of_a_skeleton_without_boxes_are_measured_by_the_box_about_them(maps):
    skeleton = maps["skeleton"]
    bare = replace(skeleton, arrays={})
    moved = replace(skeleton, data=skeleton.data + np.array([0.1, 0, 0], np.float32))  # of a box of 3 px
    assert values(compare("skeleton", moved, bare, "control")) == {"skeleton.pck_box": 1}
    far = replace(skeleton, data=skeleton.data + np.array([2, 0, 0], np.float32))
    assert values(compare("skeleton", far, bare, "control"))["skeleton.pck_box"] < 0.5
