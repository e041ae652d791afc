"""Checks of people: what fits is right, planted faults move the score that must tell them, and rules refuse them."""

import numpy as np
import pytest

from openuni.modality import Map
from openuni.pipelines.checks.accept import ACCEPTANCE
from openuni.pipelines.checks.people import JOINT_PARTS, DenseposeMaskCheck, SkeletonBodyCheck, SkeletonMaskCheck
from openuni.pipelines.checks.skeleton import SkeletonCheck, bodies_of
from openuni.rule import Rule
from tests.pipelines.checks_cases import run
from tests.pipelines.people_cases import FRAMES, HEIGHT, WIDTH, two_who_pass, with_joints

CHECKS = (SkeletonCheck, SkeletonMaskCheck, SkeletonBodyCheck, DenseposeMaskCheck)
RGB = np.zeros((FRAMES, HEIGHT, WIDTH, 3), np.uint8)


def scores(maps, *checks):
    found = {}
    for cls in checks or CHECKS:
        for name, value in run(cls(), RGB, **{one: maps[one] for one in cls.reads}).items():
            found[f"{cls.name}.{name}"] = value
    return found


def refused(modality, found):
    table = {name: [value] for name, value in found.items()}
    return [text for text in ACCEPTANCE[modality] if not Rule(text).evaluate(table).true[0]]


def test_maps_that_fit_are_right_and_accepted():
    found = scores(two_who_pass())
    assert found["skeleton_check.num_people"] == 2 and found["skeleton_check.presence"] == 1
    assert found["skeleton_check.doubles"] == 0 and found["skeleton_check.shake"] == pytest.approx(0, abs=1e-6)
    assert found["skeleton_check.jump"] == pytest.approx(4 / 35)  # px a frame over the joints' height
    assert found["skeleton_mask_check.inside"] == found["skeleton_mask_check.id_agreement"] == 1
    assert found["skeleton_body_check.inside"] == found["skeleton_body_check.covered"] == 1
    assert found["skeleton_body_check.part_agreement"] > 0.95
    assert found["densepose_mask_check.inside"] == 1 and found["densepose_mask_check.covered"] > 0.9
    assert refused("skeleton", found) == refused("densepose", found) == []


@pytest.mark.parametrize("which", ["skeleton", "segmentation"])
def test_ids_that_are_exchanged_half_way_are_found_in_either_map(which):
    maps, half = two_who_pass(), FRAMES // 2
    if which == "skeleton":
        joints = maps["skeleton"].data.copy()
        joints[half:] = joints[half:, ::-1]
        maps = with_joints(maps, joints)
    else:
        masks = maps["segmentation"].data.copy()
        masks[half:] = np.array([0, 2, 1], np.uint8)[masks[half:]]
        maps = maps | {"segmentation": Map(data=masks)}
    found = scores(maps)
    assert found["skeleton_mask_check.id_agreement"] == pytest.approx(0.5, abs=0.1)
    assert found["skeleton_mask_check.inside"] == 1
    assert any("id_agreement" in rule for rule in refused("skeleton", found))


def test_a_skeleton_on_the_other_person_is_found_with_and_without_masks():
    maps = two_who_pass()
    joints = maps["skeleton"].data.copy()
    joints[:, 1] = joints[:, 0]
    found = scores(with_joints(maps, joints))
    assert found["skeleton_check.doubles"] == 1 and found["skeleton_body_check.covered"] < 0.8
    assert any("doubles" in rule for rule in refused("skeleton", found))
    joints[::2, 1, :, 2] = 0  # for half of the frames, then never two at once: only the body that nobody has tells
    joints[1::2, 0, :, 2] = 0
    found = scores(with_joints(maps, joints))
    assert found["skeleton_check.doubles"] is None and found["skeleton_mask_check.id_agreement"] == 0.5


def test_joints_and_bodies_that_are_moved_lie_outside():
    maps = two_who_pass()
    joints = maps["skeleton"].data.copy()
    joints[..., 0] += 12
    found = scores(with_joints(maps, joints))
    assert found["skeleton_mask_check.inside"] < 0.5 and found["skeleton_body_check.inside"] < 0.5
    assert any("skeleton_body_check.inside" in rule for rule in refused("skeleton", found))
    moved = scores(maps | {"densepose": Map(data=np.roll(maps["densepose"].data, 12, axis=2))})
    assert moved["densepose_mask_check.inside"] < 0.3
    assert any("densepose_mask_check.inside" in rule for rule in refused("densepose", moved))


def test_left_and_right_exchanged_lie_on_the_wrong_parts():
    maps = two_who_pass()
    mirror = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
    found = scores(with_joints(maps, maps["skeleton"].data[:, :, mirror]))
    assert found["skeleton_body_check.part_agreement"] < 0.6 and found["skeleton_body_check.inside"] == 1
    assert any("part_agreement" in rule for rule in refused("skeleton", found))


def test_joints_that_shake_are_no_steady_motion():
    maps, rng = two_who_pass(), np.random.default_rng(0)
    joints = maps["skeleton"].data.copy()
    joints[..., :2] += rng.normal(0, 4, joints[..., :2].shape)
    found = scores(with_joints(maps, joints), SkeletonCheck)
    # The mean length of a plane Gaussian of sigma s is s sqrt(pi / 2); here s = 4 sqrt(3 / 2) px, of about 40 px.
    assert found["skeleton_check.shake"] == pytest.approx(4 * np.sqrt(1.5) * np.sqrt(np.pi / 2) / 40, rel=0.3)
    assert any("shake" in rule for rule in refused("skeleton", found | scores(maps) | found))


def test_what_cannot_be_measured_is_missing():
    maps = two_who_pass()
    nobody = scores(with_joints(maps, np.zeros_like(maps["skeleton"].data)))
    assert nobody["skeleton_check.num_people"] == 0 and nobody["skeleton_check.presence"] == 0
    for name in ("check.confidence", "check.jump", "check.shake", "mask_check.id_agreement", "body_check.inside"):
        assert nobody[f"skeleton_{name}"] is None
    assert nobody["skeleton_body_check.covered"] == 0
    assert any("num_people" in rule for rule in refused("skeleton", nobody))
    empty = scores(with_joints(maps, np.zeros((FRAMES, 0, 17, 3))), SkeletonCheck, SkeletonMaskCheck)
    assert empty["skeleton_check.num_people"] == 0 and empty["skeleton_mask_check.inside"] is None
    bare = scores(maps | {"densepose": Map(data=np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8))}, DenseposeMaskCheck)
    assert bare["densepose_mask_check.inside"] is None and bare["densepose_mask_check.presence"] == 0


def test_joints_of_the_whole_body_count_as_17_and_those_off_the_picture_not():
    maps = two_who_pass()
    wide = np.zeros((FRAMES, 2, 133, 3), np.float32)
    wide[:, :, :17] = maps["skeleton"].data
    assert scores(with_joints(maps, wide)) == scores(maps)
    wide[:, 1, :17, 0] += 500
    assert scores(with_joints(maps, wide), SkeletonMaskCheck)["skeleton_mask_check.inside"] == 1
    assert bodies_of(with_joints(maps, wide)["skeleton"]).there.all()


def test_left_and_right_parts_mirror_each_other():
    other = {1: 1, 2: 2, 3: 4, 5: 6, 7: 8, 9: 10, 11: 12, 13: 14, 15: 16, 17: 18, 19: 20, 21: 22, 23: 24}
    other |= {right: left for left, right in other.items()}
    for left in range(1, 17, 2):
        assert {other[part] for part in JOINT_PARTS[left]} == JOINT_PARTS[left + 1]
