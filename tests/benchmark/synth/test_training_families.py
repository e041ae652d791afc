"""Families to train small models on: what a small network needs to be there, and the benchmark's own mix untouched."""

import numpy as np
import pytest

from openuni.benchmark.synth.families import FAMILIES, MIXED, make_scene, numbered
from openuni.benchmark.synth.render import render_clip
from openuni.benchmark.synth.training_families import FPS


def scenes(family, count=40):
    return [make_scene(family, seed=11, number=number, num_frames=5) for number in range(count)]


def test_the_benchmarks_mix_has_none_of_those_that_must_be_named():
    assert set(FAMILIES) - set(MIXED) == {"plain", "varied", "crossing", "fall", "collision", "hiding"}
    assert {family for family, _ in numbered(list(MIXED), 60)} == set(MIXED)
    assert numbered(["varied"], 2) == [("varied", 0), ("varied", 1)]
    assert {family for family, _ in numbered(["plain", "objects"], 4)} == {"plain", "objects"}


def test_plain_rests_its_camera_and_shows_a_person_in_nine_of_ten_clips():
    drawn = scenes("plain")
    assert all((scene.camera_positions == scene.camera_positions[0]).all() for scene in drawn)
    assert 0.75 <= np.mean([len(scene.people) == 1 for scene in drawn]) <= 1
    things = [sum(not thing.scenery for thing in scene.things) for scene in drawn]
    assert set(things) == {1, 2}
    assert {thing.material for scene in drawn for thing in scene.things} == {"matte"}


def test_varied_moves_its_camera_and_shows_up_to_two_people():
    drawn = scenes("varied")
    moved = [
        np.abs(np.ptp(scene.camera_positions, axis=0)).max() + np.abs(np.ptp(scene.camera_rotations, axis=0)).max()
        for scene in drawn
    ]
    assert min(moved) > 1e-3
    assert {len(scene.people) for scene in drawn} == {0, 1, 2}
    assert len({scene.things[0].material for scene in drawn}) >= 4


@pytest.mark.parametrize("family", ["plain", "varied"])
def test_clips_last_five_frames_at_eight_a_second_with_motion_and_all_truth(family):
    scene = make_scene(family, seed=11, number=1, num_frames=5)
    assert scene.fps == FPS
    clip = render_clip(scene, height=48, width=48, tier=None)
    assert clip.truth.depth.shape == (5, 48, 48)
    assert set(clip.maps()) == {"depth", "flow", "densepose", "skeleton", "segmentation"}
    speed = np.linalg.norm(clip.truth.flow[:-1], axis=-1)
    assert 0.5 < speed[clip.truth.flow_valid[:-1]].max() < 16


def test_a_person_of_plain_fills_a_good_part_of_the_height():
    heights = []
    for scene in scenes("plain", 12):
        truth = render_clip(scene, height=48, width=48, tier=None).truth
        rows = np.flatnonzero((truth.densepose[2] > 0).any(axis=1))
        heights += [np.ptp(rows) + 1] if len(rows) else []
    assert np.median(heights) > 0.6 * 48
