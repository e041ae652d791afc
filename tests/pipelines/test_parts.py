"""Parts of a build: windows, experts in their order, the panel."""

import numpy as np
import pytest

from openuni.clip import Clip
from openuni.errors import BadInput, UnknownName
from openuni.modality import Map
from openuni.panel import LABEL_PX, panel, panel_video
from openuni.pipelines.parts import make_checks, make_experts, make_filters
from openuni.pipelines.windows import spans, windows_of
from openuni.sample import Sample
from openuni.table import CHECKS, FILTERS


def test_windows_fill_a_clip_from_its_centre_without_overlap():
    assert spans(12.0, 5.0) == [(1.0, 6.0), (6.0, 11.0)]
    assert spans(5.0, 5.0) == [(0.0, 5.0)]
    assert spans(3.0, 5.0) == [(0.0, 3.0)]


def test_a_window_is_a_clip_of_its_own_that_knows_its_parent():
    clip = Clip(clip_id="f" * 20, source="s", source_key="k", source_video="v", path="p", start_s=10.0)
    windows = list(windows_of(clip, length_s=12.0, window_s=5.0))
    assert [(window.start_s, window.end_s) for window in windows] == [(11.0, 16.0), (16.0, 21.0)]
    assert {window.parent_id for window in windows} == {"f" * 20}
    assert len({window.clip_id for window in windows} | {clip.clip_id}) == 3


def test_an_expert_stands_behind_what_it_reads():
    assert [stage.name for stage in make_experts(["depth-motion", "flow-dis"], {})] == ["flow", "depth"]
    assert [stage.name for stage in make_experts(["embedded"], {})] == ["flow", "depth", "segmentation"]
    assert make_experts(["none"], {}) == ()


def test_an_expert_without_what_it_reads_is_a_mistake():
    with pytest.raises(BadInput, match=r"Expert depth-motion \(depth\) reads flow; add an expert for it to --experts"):
        make_experts(["depth-motion"], {})
    with pytest.raises(UnknownName, match="Unknown expert 'embeded'. Did you mean 'embedded'"):
        make_experts(["embeded"], {})


def test_settings_reach_their_part():
    filters = make_filters(["all"], {"motion": {"work_px": "96"}})
    assert next(stage for stage in filters if stage.name == "motion").parameters()["work_px"] == 96


def test_filters_are_those_named_in_the_tables_order_and_duration_always():
    without_weights = [
        name for name in FILTERS if name not in ("aesthetic", "people_expert")
    ]  # "all" means all that need none
    assert [stage.name for stage in make_filters(["all"], {})] == without_weights
    assert [stage.name for stage in make_filters(["published", "motion"], {})] == ["motion", "duration", "published"]
    with pytest.raises(UnknownName, match="Unknown filter 'moton'. Did you mean 'motion'"):
        make_filters(["moton"], {})


def test_a_check_runs_where_the_maps_it_reads_are_made():
    for stage in make_checks(make_experts(["flow-dis"], {}), {}):
        assert {stage.judges, *stage.reads} <= {"flow"}
    embedded = {stage.name for stage in make_checks(make_experts(["embedded"], {}), {})}
    assert embedded == {"flow_check", "depth_check", "segmentation_check"}
    assert {stage.name for stage in make_checks(make_experts(["truth"], {}), {})} == set(CHECKS)
    assert make_checks((), {}) == ()


def sample() -> Sample:
    rgb = np.zeros((3, 48, 64, 3), np.uint8)
    rgb[..., 0] = 200
    valid = np.ones((3, 48, 64), bool)
    valid[-1] = False
    flow = Map(data=np.ones((3, 48, 64, 2), np.float32), valid=valid)
    facts = {"times_s": [0.0, 0.1, 0.2], "fps": 10.0}
    return Sample(key="0a", caption="", rgb=Map(data=rgb, facts=facts), maps={"flow": flow}, absent={"depth": "static"})


def test_a_panel_has_a_row_for_the_frames_and_for_each_modality():
    picture = panel(sample(), ["flow", "depth"])
    tile = 240  # 320 px wide at 4:3
    assert picture.shape == (LABEL_PX + 3 * (LABEL_PX + tile), 2 * 320, 3)
    rows = [picture[LABEL_PX + row * (LABEL_PX + tile) + LABEL_PX + tile // 2, 160] for row in range(3)]
    assert rows[0].tolist() == [200, 0, 0]  # the frames
    assert rows[1].std() > 10  # a colour of the wheel
    assert rows[2].tolist() == [96, 96, 96]  # absent: grey


def test_a_panel_video_has_all_frames_side_by_side_with_even_sides():
    video = panel_video(sample(), ["flow", "depth"])
    assert video.shape == (3, 240 + LABEL_PX, 3 * 320, 3) and video.dtype == np.uint8
