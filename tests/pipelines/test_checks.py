"""All checks: what the table promises, sample points, edge agreement, and that the default rules tell maps apart."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from openuni.benchmark.synth.boxes import Scene, scene
from openuni.clip import Clip
from openuni.engine.job import Job
from openuni.engine.stage import Score
from openuni.engine.worker import Worker
from openuni.frames import FrameTarget
from openuni.modality import Map, modality
from openuni.pipelines.checks.accept import ACCEPTANCE
from openuni.pipelines.checks.base import Check, mean, ratio, read_map
from openuni.pipelines.checks.edges import EdgeAgreement, borders, evenly, steps_between
from openuni.pipelines.checks.steps import look_up, look_up_ids, look_up_mask, make_grid, steps
from openuni.rule import Rule
from openuni.table import ANNOTATORS, CHECKS, MODALITIES, load
from openuni.view import OpenClip
from tests.pipelines.checks_cases import run, uniform_flow


def check(name: str) -> Check:
    found = load("check", CHECKS, name)()
    assert isinstance(found, Check)
    return found


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_is_named_after_what_it_judges_and_reads_modalities_only(name):
    stage = check(name)
    assert stage.name == name and name.startswith(f"{stage.judges}_") and name.endswith("_check")
    assert stage.judges in stage.reads and set(stage.reads) <= set(MODALITIES)
    assert stage.modality is None  # scores only
    assert stage.parameters()  # a dataclass: what it measures is part of its fingerprint
    names = [column.name for column in stage.columns]
    assert len(names) == len(set(names)) and all(column.meaning and column.unit for column in stage.columns)


def test_default_rules_name_columns_of_their_modalitys_check():
    checks = [check(name) for name in CHECKS]
    assert set(ACCEPTANCE) == {stage.judges for stage in checks}
    for name, rules in ACCEPTANCE.items():
        mine = [stage for stage in checks if stage.judges == name]
        known = {f"{stage.name}.{column.name}" for stage in mine for column in stage.columns}
        for text in rules:
            assert set(Rule(text).columns) <= known


# What the checks stand on.


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(480, 854, (3, 160, 284)), (480, 832, (3, 160, 277)), (256, 256, (1, 256, 256)), (32, 4000, (2, 16, 2000))],
)
def test_the_grid_has_about_256_points_along_the_longer_side_and_16_along_the_shorter(height, width, expected):
    assert make_grid(height, width, work_px=256) == expected


def test_points_lie_in_the_middles_of_their_blocks():
    grid = make_grid(480, 854, work_px=256)
    rows, columns = np.mgrid[:480, :854]
    assert grid.at(rows).shape == (160, 284)
    np.testing.assert_array_equal(grid.at(rows)[:, 0], 1 + 3 * np.arange(160))
    np.testing.assert_array_equal(grid.at(columns)[0], 1 + 3 * np.arange(284))


def test_a_step_ends_where_the_flow_says_and_is_usable_on_the_picture():
    flow = uniform_flow(3, 20, 30, 2.5, -1)
    first, second = steps(flow, make_grid(20, 30, work_px=256))
    assert (first.t, second.t) == (0, 1)
    rows, columns = np.mgrid[:20, :30]
    np.testing.assert_array_equal(first.x, columns + 2.5)
    np.testing.assert_array_equal(first.y, rows - 1)
    np.testing.assert_array_equal(first.usable, (columns + 2.5 <= 29.5) & (rows >= 1))


def test_values_are_looked_up_between_pixels_masks_where_all_four_are_true_and_ids_at_the_nearest():
    (step,) = steps(uniform_flow(2, 20, 30, 0.25), make_grid(20, 30, work_px=256))
    columns = np.broadcast_to(np.arange(30, dtype=np.float32), (20, 30))
    np.testing.assert_allclose(look_up(columns, step)[:, :29], columns[:, :29] + 0.25)
    np.testing.assert_array_equal(look_up_ids(columns.astype(np.uint16), step), columns)
    mask = columns != 10
    np.testing.assert_array_equal(look_up_mask(mask, step)[0], (np.arange(30) != 10) & (np.arange(30) != 9))


def test_agreement_is_one_for_all_zero_by_chance_and_missing_without_edges():
    rng = np.random.default_rng(0)
    strength = rng.random((100, 100)).astype(np.float32)
    strong, everywhere = strength > np.quantile(strength, 0.9), np.ones((100, 100), bool)
    for edges, expected in ((strong, 1.0), (everywhere, 0.0), (~strong, -1 / 9)):  # -0.1 / (1 - 0.1)
        agreement = EdgeAgreement(reach=0)
        agreement.add(edges, strength, everywhere)
        assert agreement.value == pytest.approx(expected)
    assert EdgeAgreement(reach=0).value is None


def test_chance_is_that_of_the_points_that_count():
    strength = np.zeros((100, 100), np.float32)
    strength[:50] = np.random.default_rng(0).random((50, 100))
    where = np.zeros((100, 100), bool)
    where[:50] = True
    agreement = EdgeAgreement(reach=0)
    agreement.add(where, strength, where)  # all that count: by chance, though strong steps lie nowhere else
    assert agreement.value == pytest.approx(0)


def test_steps_and_borders_are_between_neighbours_at_the_side():
    values = np.array([[0, 0, 5], [0, 1, 5]], np.float32)
    where = np.array([[True, True, True], [True, True, False]])
    np.testing.assert_array_equal(steps_between(values, where), [[0, 5, 5], [1, 1, 0]])
    np.testing.assert_array_equal(borders(values), [[False, True, True], [True, True, True]])


def test_frames_are_picked_evenly_with_both_ends():
    assert evenly(81, 16) == {0, 5, 11, 16, 21, 27, 32, 37, 43, 48, 53, 59, 64, 69, 75, 80}
    assert evenly(3, 16) == {0, 1, 2} and evenly(1, 16) == {0}


def test_what_has_no_value_is_missing():
    assert ratio(1, 4) == 0.25 and ratio(0, 0) is None and ratio(3, 0) is None
    assert mean(np.array([1.0, np.nan, 2.0])) == 1.5 and mean(np.array([np.nan])) is None


def test_a_map_must_have_the_frames_shape():
    class View:
        class frames:
            rgb = np.zeros((2, 8, 8, 3), np.uint8)

        maps = {"flow": uniform_flow(3, 8, 8, 0)}  # noqa: RUF012

    with pytest.raises(ValueError, match=r"flow must have the frames' shape \(2, 8, 8\), got \(3, 8, 8\)"):
        read_map(View, "flow")


# The default rules on rendered clips.


@cache
def rendered(camera: str, seed: int) -> Scene:
    return scene(seed, num_frames=5, height=108, width=192, camera=camera)


def truth(clip: Scene) -> dict[str, Map]:
    """The true maps in stored form."""
    valid = np.ones(clip.depth.shape, bool)
    maps = {
        "flow": Map(data=clip.flow, valid=clip.flow_valid, arrays={"occluded": clip.occluded}),
        "depth": Map(data=clip.depth, valid=valid, facts={"kind": "metric_depth"}),
        "segmentation": Map(data=clip.ids),
    }
    return {name: modality(name).stored(one) for name, one in maps.items()}


def reasons(name: str, scores: dict[str, Score]) -> list[str]:
    """Default rules that stand against the map of a modality."""
    table = {f"{name}_check.{key}": [value] for key, value in scores.items()}
    answers = ((text, Rule(text).evaluate(table)) for text in ACCEPTANCE[name])
    against = [text if answer.known[0] else f"{text} (missing)" for text, answer in answers if not answer.true[0]]
    return against


WITHOUT_PEOPLE = ("flow", "depth", "segmentation")
"""What scenes of boxes have; checks of people are tested in test_check_people.py."""
CLIPS = [("walk", 5), ("pan", 6), ("static", 7)]


@pytest.mark.parametrize(("camera", "seed"), CLIPS)
@pytest.mark.parametrize("name", WITHOUT_PEOPLE)
def test_true_maps_of_rendered_clips_are_accepted(name, camera, seed):
    clip = rendered(camera, seed)
    assert reasons(name, run(check(f"{name}_check"), clip.rgb, **truth(clip))) == []


def damaged(name: str, clip: Scene, other: Scene) -> Iterator[Map]:
    right, rng = truth(clip)[name], np.random.default_rng(0)
    if name == "flow":
        yield replace(right, data=np.float32(1.5) * right.data)
        yield replace(right, data=-right.data)
        yield truth(other)["flow"]
        yield replace(right, valid=np.zeros_like(right.valid))
    if name == "depth":
        yield replace(right, data=right.data * np.exp(rng.normal(0, 0.1, (5, 1, 1))).astype(np.float32))
        yield replace(right, data=(right.data * np.exp(rng.normal(0, 0.3, right.data.shape))).astype(np.float32))
        yield replace(right, valid=np.zeros_like(right.valid))
        yield replace(right, data=np.full_like(right.data, 5))
    if name == "segmentation":
        orders = [np.array([0, *1 + rng.permutation(8)], np.uint16) for _ in right.data]
        yield Map(data=np.stack([order[frame] for order, frame in zip(orders, right.data, strict=True)]))
        yield Map(data=np.where(rng.random(right.data.shape) < 0.3, 0, right.data).astype(np.uint16))
        yield Map(data=np.zeros_like(right.data))


@pytest.mark.parametrize(("camera", "seed"), CLIPS[:2])
@pytest.mark.parametrize("name", WITHOUT_PEOPLE)
def test_damaged_maps_of_rendered_clips_are_refused(name, camera, seed):
    clip, other = rendered(camera, seed), rendered("zoom", 8)
    for number, made in enumerate(damaged(name, clip, other)):
        scores = run(check(f"{name}_check"), clip.rgb, **{**truth(clip), name: made})
        assert reasons(name, scores), f"damage {number} was accepted with {scores}"


def test_a_check_runs_in_a_pass_behind_what_it_reads(tmp_path, clips_folder):
    flow = load("expert", ANNOTATORS, "flow-dis")()
    open_clip = OpenClip(str(clips_folder), FrameTarget())
    job = Job(name="annotate", out=tmp_path, stages=(flow, check("flow_check")), open_view=open_clip)
    worker = Worker(job)
    for stage in job.stages:
        stage.setup()
    clip = Clip(clip_id="a" * 20, source="folder", source_key="k", source_video="v", path="good_0.mp4")
    row = worker.work_on("unit", clip, job.stages, {})["flow_check"].row
    assert row.status == "ok" and reasons("flow", row.scores) == []
