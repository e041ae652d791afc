"""A suite's numbers: VBench's means and normalised scores, its results files, its static filter."""

import json

import pytest

from openuni.benchmark.records import Record
from openuni.benchmark.vbench.aggregate import NOT_ASKED, final, means, read_results, section
from openuni.benchmark.vbench.dimensions import DIMENSIONS
from openuni.errors import BadInput


def record(metric, sample, value, valid=1, flags="", cluster="p"):
    about = ("vbench", "text", "rgb", "sys", sample, cluster, "", 0)
    return Record(*about, f"vbench.{metric}", "vbench", value, valid, flags)


def test_consistencies_weigh_by_pairs_and_the_others_by_clips():
    long, short = 99, 1
    records = [record("subject_consistency", "a", 1.0, long), record("subject_consistency", "b", 0.0, short)]
    records += [record("imaging_quality", "a", 1.0, long), record("imaging_quality", "b", 0.0, short)]
    found = means(records)
    assert found["subject_consistency"].value == pytest.approx(0.99)
    assert found["imaging_quality"].value == 0.5


def test_clips_without_a_value_are_counted_with_the_commonest_reason():
    records = [record("motion_smoothness", name, None, 0, "fewer_than_3_frames") for name in "ab"]
    records += [record("motion_smoothness", "c", None, 0, "no_weights"), record("motion_smoothness", "d", 0.5)]
    assert means(records)["motion_smoothness"] == (0.5, 1, 3, "fewer_than_3_frames")


def test_numbers_of_other_protocols_are_never_mixed_in():
    other = record("temporal_flickering", "b", 0.0)._replace(protocol="plain")
    assert means([record("temporal_flickering", "a", 1.0), other])["temporal_flickering"].value == 1


def test_flickering_is_over_the_first_five_static_clips_of_each_prompt():
    records = []
    for number in range(8):
        records.append(record("temporal_flickering", f"p-{number}", float(number)))
        records.append(record("static", f"p-{number}", float(number > 0)))
    records += [
        record("temporal_flickering", "q-0", None, 0, NOT_ASKED, "q"),
        record("static", "q-0", None, 0, NOT_ASKED, "q"),
    ]
    found = means(records)["temporal_flickering"]
    assert (found.value, found.clips) == (3.0, 5)  # 1 to 5


def test_without_the_filters_network_standard_flickering_has_no_value():
    records = [record("temporal_flickering", "p-0", 0.9), record("static", "p-0", None, 0, "no_weights")]
    assert means(records)["temporal_flickering"] == (None, 0, 1, "not_filtered")


RAW = {
    "subject_consistency": 0.9, "background_consistency": 0.95, "temporal_flickering": 0.98, "motion_smoothness": 0.99,
    "dynamic_degree": 0.5, "aesthetic_quality": 0.6, "imaging_quality": 0.7, "object_class": 0.8,
    "multiple_objects": 0.4, "human_action": 0.9, "color": 0.85, "spatial_relationship": 0.6, "scene": 0.5,
    "appearance_style": 0.24, "temporal_style": 0.25, "overall_consistency": 0.26,
}  # fmt: skip


def test_final_scores_are_those_of_vbenchs_script_by_hand():
    quality = [
        (0.9 - 0.1462) / 0.8538, (0.95 - 0.2615) / 0.7385, (0.98 - 0.6293) / 0.3707, (0.99 - 0.706) / 0.2915,
        0.5 * 0.5, 0.6, 0.7,
    ]  # fmt: skip
    semantic = [0.8, 0.4, 0.9, 0.85, 0.6, 0.5 / 0.8222, (0.24 - 0.0009) / 0.2846, 0.25 / 0.364, 0.26 / 0.364]
    found = final(RAW)
    assert found.quality == pytest.approx(sum(quality) / 6.5)
    assert found.semantic == pytest.approx(sum(semantic) / 9)
    assert found.total == pytest.approx((4 * found.quality + found.semantic) / 5)


def test_normalised_values_are_not_cut_off():
    assert DIMENSIONS["motion_smoothness"].normalised(0.5) < 0
    assert DIMENSIONS["overall_consistency"].normalised(0.5) > 1


def test_a_missing_dimension_makes_its_score_unknown_not_low():
    only_quality = {name: value for name, value in RAW.items() if DIMENSIONS[name].quality}
    assert final(only_quality)[1:] == (None, None) and final(only_quality).quality is not None
    del only_quality["dynamic_degree"]
    assert final(only_quality).quality is None


def test_results_of_vbench_fill_what_is_not_computed_here(tmp_path):
    path = tmp_path / "x_eval_results.json"
    path.write_text(json.dumps({name: [value, [{"video_path": "a.mp4"}]] for name, value in RAW.items()}))
    records = [record(name, "a", 0.8) for name in ("subject_consistency", "overall_consistency")]
    (found,) = section(records, read_results(path))
    assert found["dimensions"]["subject_consistency"]["percent"] == pytest.approx(80)
    assert "subject_consistency" not in found["imported"] and found["imported"]["scene"] == 0.5
    assert found["total"] == pytest.approx(final({**RAW, "subject_consistency": 0.8, "overall_consistency": 0.8}).total)
    (alone,) = section(records)
    assert alone["semantic"] is None and alone["total"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "expected an object"),
        ("{", "cannot be read"),
        ("{}", "holds no dimension"),
        ('{"subject": [0.5, []]}', "'subject' is no dimension"),
        ('{"scene": ["high", []]}', "expected .value, clips."),
        ('{"scene": [NaN, []]}', "expected .value, clips."),
        ('{"scene": [54.2, []]}', "Divide percentages by 100"),
    ],
)
def test_a_file_that_is_no_results_file_is_said_in_one_line(tmp_path, text, message):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(BadInput, match=message):
        read_results(tmp_path / "r.json")
