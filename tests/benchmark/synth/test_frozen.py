"""The official set: frozen poses give the truth that they gave on the day they were frozen."""

import numpy as np
import pytest

from openuni.benchmark.synth.families import MIXED, make_scene, numbered
from openuni.benchmark.synth.frozen import OFFICIAL, OFFICIAL_CLIPS, freeze, official_scene, thaw
from openuni.benchmark.synth.render import render_clip
from openuni.errors import BadInput

TRUTH = {
    0: "4f428b9f564a72072480ef7d362367fe86a22adb163fb77af63d675ab4e8bb32",
    1: "a7c6320c7e8da754860aaf007e589a3c0fa6aaf1110fed71fc4dea384599419d",
    2: "af3c91a8124b218f274ab0b4dab83368e858e13dfb9d0f8298231f86ce185ff6",
    3: "fb3e497f128acc91ed034427bf5a6b9d4073092bef2d478e82f46640f5c4984b",
    6: "0cde90c54f8d58cc4ec251311adf779c59e4a4e10a8735bf3faf6178aac40df5",
    7: "0cde90c54f8d58cc4ec251311adf779c59e4a4e10a8735bf3faf6178aac40df5",
}
"""Number of an official scene -> SHA-256 of the truth of its first three frames at 64 x 64. These do not change."""


def test_freezing_loses_nothing():
    scenes = [make_scene(family, seed=1, number=number, num_frames=5) for family, number in numbered(list(MIXED), 8)]
    for before, after in zip(scenes, thaw(freeze(scenes)), strict=True):
        for name in ("name", "family", "seed", "caption", "fps", "focal", "facts", "sky", "things", "people"):
            assert getattr(before, name) == getattr(after, name), name
        for name in ("thing_positions", "thing_rotations", "person_positions", "person_rotations"):
            assert np.array_equal(getattr(before, name), getattr(after, name)), name
        assert np.array_equal(before.camera_positions, after.camera_positions)
        assert np.array_equal(before.camera_rotations, after.camera_rotations)


def test_poses_off_the_grid_are_refused():
    scene = make_scene("camera_only", seed=1, number=0, num_frames=3)
    scene.camera_positions[0] += 1e-6
    with pytest.raises(ValueError, match="camera_positions of a scene does not lie on the grid of 1/16384"):
        freeze([scene])


@pytest.mark.parametrize("number", TRUTH)
def test_the_truth_of_official_scenes_is_what_it_was(number):
    truth = render_clip(official_scene(number, 3), height=64, width=64, tier=None).truth
    assert truth.sha256 == TRUTH[number], "the official set changed: published scores on it would lose their meaning"


def test_the_official_set_is_200_scenes_of_all_families():
    scenes = [official_scene(number) for number in range(OFFICIAL_CLIPS)]
    assert [scene.name for scene in scenes] == [f"unibench-{number:03d}" for number in range(200)]
    counts = {family: sum(scene.family == family for scene in scenes) for family in MIXED}
    assert counts == {"objects": 50, "one_person": 60, "two_people": 30, "refraction": 20, "camera_only": 40}
    assert all(scene.num_frames == 48 for scene in scenes)
    assert OFFICIAL.stat().st_size < 2_000_000


def test_what_the_official_set_has_not_is_refused():
    with pytest.raises(BadInput, match="The official set has scenes 0 to 199, got 200"):
        official_scene(200)
    with pytest.raises(BadInput, match="have 48 frames, got 49"):
        official_scene(0, 49)
