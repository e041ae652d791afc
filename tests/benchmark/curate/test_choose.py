"""Choosing clips: rules in order, which one empties a build, and the spread over people, motion and videos."""

import pyarrow as pa
import pytest

from openuni.benchmark.curate.choose import choose
from openuni.errors import BadInput, UnknownName


def table(count=24, **columns):
    """Clips of two videos each, 0 to 2 people, motion that grows; depth is there in every second one."""
    rows = range(count)
    made = {
        "key": [f"{row:04x}" for row in rows],
        "split": ["validation" if row % 4 else "train" for row in rows],
        "caption": [f"Clip {row}." for row in rows],
        "source_video": [f"video{row // 2}" for row in rows],
        "rgb.present": [True] * count,
        "rgb.reason": [""] * count,
        "depth.present": [row % 2 == 1 for row in rows],
        "depth.reason": ["" if row % 2 else ("no_parallax" if row % 3 else "too_short") for row in rows],
        "flow.present": [True] * count,
        "flow.reason": [""] * count,
        "people.hog_count": [float(row % 3) for row in rows],
        "motion.flow_pct_per_s": [float(row) for row in rows],
        **columns,
    }
    return pa.table(made)


def test_each_rule_says_what_it_left_and_why_maps_are_absent():
    steps = choose(table(), modalities=["depth"], rules=["motion.flow_pct_per_s > 4"]).steps
    assert [(step.rule, step.before, step.after) for step in steps] == [
        ('split == "validation"', 24, 18),
        ("depth.present", 18, 12),
        ('caption != ""', 12, 12),
        ("motion.flow_pct_per_s > 4", 12, 10),
    ]
    assert steps[1].reasons == {"depth: no_parallax": 4, "depth: too_short": 2}


def test_only_the_modalities_that_are_required_are_asked_for():
    assert len(choose(table(), split="all").keys) == 24
    assert len(choose(table(), split="all", modalities=["depth"]).keys) == 12
    gone = table(**{"flow.present": [row % 2 == 1 for row in range(24)]})
    assert len(choose(gone, split="all").keys) == 12  # of any modality at least one


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"split": ["train"] * 24}, {}, "Rule 'split == \"validation\"' leaves none of 24 clips. Build more"),
        (
            {"depth.present": [False] * 24, "depth.reason": ["no_parallax"] * 24},
            {"modalities": ["depth"]},
            "'depth.present' leaves none of 18 clips (18 x depth: no_parallax)",
        ),
        ({"caption": [""] * 24}, {}, "--no-captions"),
        ({}, {"rules": ["motion.flow_pct_per_s > 99"]}, "leaves none of 18 clips. Relax the rule"),
        ({}, {"modalities": ["skeleton"]}, "has no modality 'skeleton'; it has depth, flow"),
    ],
)
def test_the_rule_that_empties_a_build_is_named_with_what_to_do(changes, options, message):
    with pytest.raises(BadInput) as error:
        choose(table(**changes), **options)
    assert message in str(error.value)


def test_a_rule_over_an_unknown_column_is_said():
    with pytest.raises(UnknownName, match="motion.flow"):
        choose(table(), rules=["motion.flow > 1"])


def test_the_first_clips_are_of_different_videos_people_and_motion():
    found = choose(table(), split="all")
    assert (found.people, found.motion) == ("people.hog_count", "motion.flow_pct_per_s")
    cells = set(found.cells.values())
    assert len(cells) == 9 and {found.cells[key] for key in found.keys[:9]} == cells
    assert found.cells["0000"] == "0 people, slow" and found.cells["0017"] == "2+ people, fast"
    assert sorted(found.keys) == sorted(f"{row:04x}" for row in range(24))


def test_within_a_cell_a_video_gives_its_second_clip_last():
    same = table(**{"people.hog_count": [1.0] * 24, "motion.flow_pct_per_s": [1.0] * 24})
    keys = choose(same, split="all").keys
    videos = [int(key, 16) // 2 for key in keys]
    assert sorted(videos[:12]) == list(range(12)) and sorted(videos[12:]) == list(range(12))


def test_the_choice_is_of_the_seed_and_not_of_the_order_of_rows():
    there = table()
    turned = there.take(pa.array(list(range(24))[::-1]))
    assert choose(there, split="all").keys == choose(turned, split="all").keys
    assert choose(there, split="all").keys != choose(there, split="all", seed=1).keys


def test_without_counts_there_is_one_class_of_people():
    found = choose(table().drop_columns(["people.hog_count", "motion.flow_pct_per_s"]))
    assert set(found.cells.values()) == {"unknown people, unknown"} and (found.people, found.motion) == ("", "")
