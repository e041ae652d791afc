"""Truth against geometry by hand, brute force, and itself: transport, agreement of modalities, occlusion, policy."""

import numpy as np
import pytest

from openuni.benchmark.synth.body import BONE_NAMES
from openuni.benchmark.synth.camera import look_at
from openuni.benchmark.synth.families import make_scene
from openuni.benchmark.synth.geometry import Geometry
from openuni.benchmark.synth.render import render_clip
from openuni.benchmark.synth.rotation import quaternion_of
from openuni.benchmark.synth.scene import Person, Thing
from openuni.errors import BadInput, UnknownName
from tests.benchmark.synth.scenes import Shot, moved, rest_points, shots, still

SIZE = 96
GROUND = (Thing(kind="plane", size=(50.0,), material="tiles", scenery=True), (0.0, 0.0, 0.0))
BALL = Thing(kind="sphere", size=(0.5,), material="plastic")
MEDIAN_PX, P95_PX = 0.03, 0.2  # the project's requirement on transport


@pytest.fixture(scope="module")
def clips() -> dict[str, list[Shot]]:
    """Six frames of every family, drawn from a seed that shows people, falling things and a moving camera."""
    names = {"objects": 1, "one_person": 0, "two_people": 1, "camera_only": 0, "refraction": 0}
    return {
        family: shots(make_scene(family, seed=0, number=number, num_frames=6), SIZE) for family, number in names.items()
    }


def pairs(clips: dict[str, list[Shot]]) -> list[tuple[Shot, Shot]]:
    return [pair for clip in clips.values() for pair in zip(clip[:-1:2], clip[1::2], strict=True)]


def landing(shot: Shot) -> np.ndarray:
    """(N, 2) where each pixel's point is in the next frame, px."""
    return shot.camera.pixels() + shot.truth.arrays["flow"].reshape(-1, 2)


def transport_errors(shot: Shot, after: Shot) -> dict[str, np.ndarray]:
    """Distance in px between the object point seen at p and the one seen at p + flow(p), by kind of surface.

    The second is found by a new ray through p + flow(p), so nothing is interpolated.
    """
    seen = shot.camera.directions(shot.camera.pixels())
    again = after.camera.directions(landing(shot))
    before, thing = rest_points(shot, shot.truth.hits, seen)
    hits = after.posed.cast(after.camera.position, again)
    behind, thing_after = rest_points(after, hits, again)
    visible = ~shot.truth.arrays["occluded"].ravel()
    # Nothing may be dropped from the test but rays that graze an edge between two things.
    assert (thing == thing_after)[visible].mean() > 0.999
    depth = np.where(np.isfinite(shot.truth.hits.distance), shot.truth.hits.distance, 1.0)
    error = np.linalg.norm(before - behind, axis=1) * shot.camera.focal / depth
    things = len(shot.posed.geometry.scene.things)
    kept = visible & (thing == thing_after)
    kinds = {"sky": thing < 0, "rigid": (thing >= 0) & (thing < things), "skinned": thing >= things}
    return {kind: error[kept & mask] for kind, mask in kinds.items()}


def test_flow_carries_every_kind_of_surface_to_the_same_point(clips):
    errors: dict[str, list[np.ndarray]] = {"sky": [], "rigid": [], "skinned": []}
    for shot, after in pairs(clips):
        for kind, error in transport_errors(shot, after).items():
            errors[kind].append(error)
    for kind, parts in errors.items():
        error = np.concatenate(parts)
        assert len(error) > 2000, kind
        assert np.median(error) <= MEDIAN_PX, kind
        assert np.percentile(error, 95) <= P95_PX, kind


def test_flow_carries_the_object_points_of_stored_pixels(clips):
    """The same claim from pixels alone, by bilinear interpolation, where the four pixels lie on one even surface."""
    errors = []
    for shot, after in pairs({"camera_only": clips["camera_only"], "objects": clips["objects"]}):
        grids = []
        for one in (shot, after):
            points, thing = rest_points(one, one.truth.hits, one.camera.directions(one.camera.pixels()))
            normals = np.zeros((SIZE * SIZE, 3))
            hit = one.truth.hits.hit
            normals[hit] = one.posed.face_normals(one.truth.hits.face[hit])
            grids.append((points.reshape(SIZE, SIZE, 3), thing.reshape(SIZE, SIZE), normals.reshape(SIZE, SIZE, 3)))
        at = landing(shot).reshape(SIZE, SIZE, 2)
        low = np.clip(np.floor(at).astype(int), 0, SIZE - 2)
        part = at - low
        (before, thing, _), (behind, thing_after, normals) = grids
        total, same = np.zeros_like(before), ~shot.truth.arrays["occluded"] & (thing >= 0)
        same &= (part >= 0).all(axis=-1) & (part <= 1).all(axis=-1)
        first = normals[low[..., 1], low[..., 0]]
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            x, y = low[..., 0] + dx, low[..., 1] + dy
            share = np.abs(1 - dx - part[..., 0]) * np.abs(1 - dy - part[..., 1])
            total += share[..., None] * behind[y, x]
            same &= (thing_after[y, x] == thing) & ((normals[y, x] * first).sum(axis=-1) > 0.99)
        pixel = shot.truth.arrays["depth"][same] / shot.camera.focal
        errors.append(np.linalg.norm(total - before, axis=-1)[same] / pixel)
    error = np.concatenate(errors)
    assert len(error) > 20_000
    assert np.median(error) <= MEDIAN_PX
    assert np.percentile(error, 95) <= P95_PX


def test_warping_by_flow_keeps_the_instance_id(clips):
    kept = []
    for shot, after in pairs(clips):
        visible = ~shot.truth.arrays["occluded"].ravel()
        directions = after.camera.directions(landing(shot)[visible])
        hits = after.posed.cast(after.camera.position, directions)
        geometry = after.posed.geometry
        ids = np.where(hits.hit, geometry.component_ids[geometry.component[hits.face]], 0)
        kept.append(ids == shot.truth.arrays["segmentation"].ravel()[visible])
    assert np.concatenate(kept).mean() >= 0.995


def test_warping_to_whole_pixels_keeps_the_instance_id_inside_things(clips):
    for shot, after in pairs(clips):
        ids, ids_after = shot.truth.arrays["segmentation"], after.truth.arrays["segmentation"]
        visible = ~shot.truth.arrays["occluded"]
        x, y = np.clip(np.rint(landing(shot).reshape(SIZE, SIZE, 2)[visible]), 0, SIZE - 1).astype(int).T
        # A pixel of an outline is rounded to either side: 1.5 % of these small pictures are outline.
        assert (ids[visible] == ids_after[y, x]).mean() >= 0.985


def test_body_surface_is_on_people_and_on_all_of_them(clips):
    for clip in clips.values():
        scene, geometry = clip[0].posed.geometry.scene, clip[0].posed.geometry
        people = geometry.component_ids[len(scene.things) :]
        for shot in clip:
            on_people = np.isin(shot.truth.arrays["segmentation"], people)
            assert np.array_equal(shot.truth.arrays["densepose"] > 0, on_people)
            assert not shot.truth.arrays["uv"][~on_people].any()
            assert shot.truth.arrays["uv"].min() >= 0 and shot.truth.arrays["uv"].max() <= 1


def test_a_visible_keypoint_lies_on_its_person(clips):
    seen = 0
    for family in ("one_person", "two_people"):
        for shot in clips[family]:
            geometry = shot.posed.geometry
            for number, points in enumerate(shot.truth.arrays["keypoints"]):
                own = geometry.component_ids[len(geometry.scene.things) + number]
                for x, y, visibility in points:
                    if visibility == 2:
                        assert shot.truth.arrays["segmentation"][round(float(y)), round(float(x))] == own
                        seen += 1
                    assert visibility or (x, y) == (0, 0)
    assert seen > 100


def test_a_keypoint_lies_on_the_part_of_its_limb(clips):
    """Wrists lie on hands or forearms, knees on thighs or shins, noses on heads: DensePose and skeleton agree."""
    parts = {0: {23, 24}, 9: {4, 19, 21}, 10: {3, 20, 22}, 13: {8, 10, 12, 14}, 14: {7, 9, 11, 13}, 15: {5, 12, 14}}
    checked = 0
    for shot in clips["one_person"] + clips["two_people"]:
        for points in shot.truth.arrays["keypoints"]:
            for joint, allowed in parts.items():
                x, y, visibility = points[joint]
                if visibility == 2:
                    assert int(shot.truth.arrays["densepose"][round(float(y)), round(float(x))]) in allowed, joint
                    checked += 1
    assert checked > 20


def test_depth_of_a_ball_and_of_the_ground_is_the_formulas():
    scene = still([GROUND, (BALL, (0.0, 0.0, 1.0))])
    (shot, _) = shots(scene, 65)
    depth = shot.truth.arrays["depth"]
    # The middle ray meets the ball at 4 - 0.5 m; its mesh is inscribed, up to 0.2 % of the radius deep.
    assert depth[32, 32] == pytest.approx(3.5, abs=1e-3)
    # Row 48 is 16 px below the middle, at focal 65 px: the ground 1 m below is seen at z = 1 / (16 / 65).
    assert depth[48, 0] == pytest.approx(65 / 16, rel=1e-6)
    assert np.isinf(depth[0]).all()


def test_depth_is_planar_not_the_length_of_the_ray():
    wall = Thing(kind="box", size=(0.5, 20.0, 20.0), material="plaster", scenery=True)
    (shot, _) = shots(still([(wall, (-1.0, 0.0, 1.0))]), 32)
    np.testing.assert_allclose(shot.truth.arrays["depth"], 4.5, rtol=1e-6)


def test_a_panning_camera_moves_the_sky_by_the_homography_of_its_rotation():
    scene = still([(BALL, (0.0, 0.0, -9.0))])
    forward = np.array([[-1.0, 0.0, 0.0], [-1.0, 0.02, 0.01]])
    scene = moved(scene, camera_rotations=quaternion_of(look_at(forward)))
    (shot, after) = shots(scene, 64)
    assert np.isinf(shot.truth.arrays["depth"]).all()
    k = shot.camera.intrinsics
    homography = k @ after.camera.rotation @ shot.camera.rotation.T @ np.linalg.inv(k)
    homogeneous = np.concatenate([shot.camera.pixels(), np.ones((64 * 64, 1))], axis=1) @ homography.T
    flow = homogeneous[:, :2] / homogeneous[:, 2:] - shot.camera.pixels()
    np.testing.assert_allclose(shot.truth.arrays["flow"].reshape(-1, 2), flow, atol=1e-5)  # float32 of up to 3 px


def test_flow_of_a_sliding_ball_is_its_shift_over_depth():
    scene = still([(BALL, (0.0, 0.0, 1.0))])
    positions = scene.thing_positions.copy()
    positions[1, 0, 1] += 0.1
    (shot, _) = shots(moved(scene, thing_positions=positions), 64)
    on_ball = shot.truth.arrays["segmentation"] == 1
    depth, flow = shot.truth.arrays["depth"][on_ball], shot.truth.arrays["flow"][on_ball]
    # The camera looks along -x with z up, so +y is to the right.
    np.testing.assert_allclose(flow[:, 0], 64 * 0.1 / depth, rtol=1e-5)
    np.testing.assert_allclose(flow[:, 1], 0, atol=1e-5)


def test_the_last_frame_has_no_flow(clips):
    for clip in clips.values():
        last = clip[-1].truth.arrays
        assert not last["flow_valid"].any() and not last["flow"].any() and last["occluded"].all()


def test_hits_are_those_of_brute_force_over_all_triangles():
    """Every triangle against every ray in float64: an independent way to the first surface."""
    scene = make_scene("one_person", seed=0, number=1, num_frames=2)
    shot = shots(scene, 8)[0]
    posed, camera = shot.posed, shot.camera
    corners = posed.vertices[posed.geometry.faces]
    nearest = np.full(64, np.inf)
    for number, direction in enumerate(camera.directions(camera.pixels())):
        edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        system = np.stack([edge1, edge2, np.broadcast_to(-direction, edge1.shape)], axis=-1)
        solvable = np.abs(np.linalg.det(system)) > 1e-14
        answer = np.linalg.solve(system[solvable], (camera.position - corners[solvable, 0])[..., None])[..., 0]
        u, v, along = answer.T
        inside = (u >= 0) & (v >= 0) & (u + v <= 1) & (along > 0)
        nearest[number] = along[inside].min(initial=np.inf)
    # A ray may pass an outline on the other side in Embree's float32.
    agree = np.isclose(shot.truth.hits.distance, nearest, rtol=1e-6) | (shot.truth.hits.distance == nearest)
    assert agree.sum() >= 63


def test_a_point_behind_another_thing_in_the_next_frame_is_occluded():
    wall = Thing(kind="box", size=(0.1, 20.0, 20.0), material="plaster", scenery=True)
    scene = still([(wall, (-2.0, 0.0, 1.0)), (BALL, (0.0, 0.0, 1.0))])
    positions = scene.thing_positions.copy()
    positions[1, 1, 1] += 0.2
    (shot, after) = shots(moved(scene, thing_positions=positions), 64)
    ids, ids_after = (one.truth.arrays["segmentation"] for one in (shot, after))
    # Nothing of the wall moves in the picture: what the ball covers afterwards is occluded, and nothing else of it.
    covered = (ids == 0) & (ids_after == 1)
    assert covered.sum() > 20
    assert np.array_equal(shot.truth.arrays["occluded"][ids == 0], covered[ids == 0])


def test_a_surface_that_turns_away_is_occluded():
    scene = still([(BALL, (0.0, 0.0, 1.0))])
    turned = scene.thing_rotations.copy()
    turned[1, 0] = [np.cos(0.25), 0, 0, np.sin(0.25)]  # by half a radian about z
    (shot, _) = shots(moved(scene, thing_rotations=turned), 64)
    on_ball = shot.truth.arrays["segmentation"] == 1
    hidden = shot.truth.arrays["occluded"] & on_ball
    # Counter-clockwise from above: what is on the right turns away, what is on the left stays.
    columns = np.nonzero(hidden)[1]
    assert hidden.sum() > 10 and columns.min() > 32


def test_leaving_the_picture_is_occlusion():
    scene = still([GROUND])
    positions = scene.camera_positions.copy()
    positions[1, 1] += 0.5
    (shot, _) = shots(moved(scene, camera_positions=positions), 64)
    landed = landing(shot).reshape(64, 64, 2)
    outside = (landed < -0.5).any(axis=-1) | (landed >= 63.5).any(axis=-1)
    assert outside.any()
    assert np.array_equal(shot.truth.arrays["occluded"], outside)


def test_glass_is_its_own_surface_or_what_stands_behind_it():
    glass = Thing(kind="sphere", size=(0.4,), material="glass")
    wall = Thing(kind="box", size=(0.5, 20.0, 20.0), material="plaster")
    scene = still([(glass, (1.0, 0.0, 1.0)), (wall, (-1.0, 0.0, 1.0))])
    first, through = (shots(scene, 32, policy)[0].truth.arrays for policy in ("first_surface", "see_through"))
    assert np.array_equal(first["refractive"], through["refractive"])
    assert first["refractive"].sum() > 20
    assert np.array_equal(first["segmentation"] == 1, first["refractive"])
    assert (through["segmentation"] == 2).all()
    np.testing.assert_allclose(through["depth"], 4.5, rtol=1e-6)
    clear = ~first["refractive"]
    assert np.array_equal(first["depth"][clear], through["depth"][clear])


def test_a_joint_behind_a_box_is_hidden_and_one_outside_the_picture_is_nowhere():
    person = (Person(), (0.0, 0.0, 0.96))
    box = Thing(kind="box", size=(0.05, 0.6, 0.35), material="wood")
    view = {"eye": (5.0, 0.0, 1.0), "target": (0.0, 0.0, 1.0), "people": [person], "focal": 2.0}
    free = shots(still([GROUND], **view), 128)[0].truth.arrays["keypoints"][0]
    hidden = shots(still([GROUND, (box, (1.0, 0.0, 0.35))], **view), 128)[0].truth.arrays["keypoints"][0]
    near = shots(still([GROUND], **{**view, "focal": 5.0}), 128)[0].truth.arrays["keypoints"][0]
    # Facing the camera everything is seen but the ears, which lie behind the cheeks' outline or on it.
    assert (free[[0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], 2] == 2).all()
    assert (hidden[13:17, 2] == 1).all() and (hidden[[0, 5, 6], 2] == 2).all()
    np.testing.assert_array_equal(hidden[13:17, :2], free[13:17, :2])
    assert not near[15:17].any()


def test_the_left_of_a_person_who_faces_the_camera_is_on_the_right_of_the_picture():
    view = {"eye": (5.0, 0.0, 1.0), "target": (0.0, 0.0, 1.0), "people": [(Person(), (0.0, 0.0, 0.96))]}
    truth = shots(still([GROUND], **view, focal=2.0), 128)[0].truth.arrays
    left_wrist, right_wrist = truth["keypoints"][0, 9], truth["keypoints"][0, 10]
    assert left_wrist[0] > right_wrist[0]
    assert truth["densepose"][round(float(left_wrist[1])) + 3, round(float(left_wrist[0])) + 1] == 4  # left hand


def test_from_behind_the_face_is_not_seen_and_the_back_is():
    view = {"eye": (-5.0, 0.0, 1.0), "target": (0.0, 0.0, 1.0), "people": [(Person(), (0.0, 0.0, 0.96))]}
    truth = shots(still([GROUND], **view, focal=2.0), 128)[0].truth.arrays
    assert (truth["keypoints"][0, :3, 2] == 1).all()
    middle = truth["densepose"][:, 64]
    assert 1 in middle and 2 not in middle


def test_ids_and_hash_are_those_of_the_scene():
    scene = make_scene("two_people", seed=1, number=0, num_frames=2)
    a, b = (render_clip(scene, height=48, width=64, tier=None).truth for _ in range(2))
    assert a.sha256 == b.sha256 and len(a.sha256) == 64
    assert a.depth.shape == (2, 48, 64) and a.uv.dtype == np.float32
    assert set(np.unique(a.segmentation)) <= {0, *scene.ids}
    assert a.person_ids.tolist() == list(scene.ids[-2:])
    local = a.poses[0] @ np.append(scene.camera_positions[0], 1)
    np.testing.assert_allclose(local, [0, 0, 0, 1], atol=1e-12)


def test_truth_becomes_maps_that_the_modalities_take():
    from openuni.modality import modality

    maps = render_clip(make_scene("one_person", seed=0, number=1, num_frames=2), height=48, width=48, tier=None).maps()
    assert set(maps) == {"depth", "flow", "densepose", "skeleton", "segmentation"}
    for name, map in maps.items():
        modality(name).check(map)
    assert {0.0, 1.0} <= set(np.unique(maps["skeleton"].data[..., 2]).tolist()) | {0.0}


def test_bad_sizes_and_policies_are_one_line():
    scene = still([GROUND])
    with pytest.raises(BadInput, match="Size 100x64: sides must be multiples of 8 from 16 to 4096 px, and 100 is not"):
        render_clip(scene, height=64, width=100, tier=None)
    with pytest.raises(UnknownName, match="Did you mean 'see_through'"):
        render_clip(scene, height=64, width=64, tier=None, behind_glass="see_thru")


def test_bones_are_fifteen():
    assert len(BONE_NAMES) == 15 and len(Geometry(still([GROUND])).bodies) == 0
