"""Tier fast: the same bytes each time, light that behaves, textures that stick to what they are on, Snell's law."""

from dataclasses import replace

import numpy as np
import pytest

from openuni.benchmark.synth.families import make_scene
from openuni.benchmark.synth.geometry import Geometry
from openuni.benchmark.synth.render import frame_by_frame, make_tier, render_clip
from openuni.benchmark.synth.scene import Person, Sky, Thing
from openuni.benchmark.synth.shapes import GLASS
from openuni.benchmark.synth.texture import SIZE, TEXTURES, texture_of
from openuni.errors import UnknownName
from tests.benchmark.synth.scenes import still

GROUND = (Thing(kind="plane", size=(50.0,), material="concrete", scenery=True), (0.0, 0.0, 0.0))


def draw(scene, size=64):
    tier = make_tier("fast")
    tier.setup()
    return render_clip(scene, height=size, width=size, tier=tier)


@pytest.mark.parametrize("family", ["one_person", "refraction"])
def test_the_same_scene_gives_the_same_bytes(family):
    scene = make_scene(family, seed=2, number=0, num_frames=2)
    first, second = draw(scene), draw(scene)
    assert np.array_equal(first.rgb, second.rgb)
    assert first.tier == "fast" and first.rgb.std() > 10


def test_truth_is_the_same_with_and_without_rgb():
    scene = make_scene("refraction", seed=2, number=0, num_frames=2)
    assert draw(scene).truth.sha256 == render_clip(scene, height=64, width=64, tier=None).truth.sha256


def test_unknown_tiers_are_refused():
    with pytest.raises(UnknownName, match="Unknown tier 'fats'. Did you mean 'fast'"):
        make_tier("fats")


def test_textures_do_not_swim():
    """The next picture, brought back along the flow, is this picture: where nothing is hidden, shiny or at an edge."""
    scene = make_scene("camera_only", seed=4, number=1, num_frames=2)
    clip = draw(scene, 128)
    truth = clip.truth
    at = np.stack(np.meshgrid(np.arange(128), np.arange(128)), -1) + truth.flow[0]
    low = np.clip(np.floor(at).astype(int), 0, 126)
    part = (at - low)[..., None, :]
    after = clip.rgb[1].astype(float)
    x, y = low[..., 0], low[..., 1]
    top = after[y, x] * (1 - part[..., 0]) + after[y, x + 1] * part[..., 0]
    bottom = after[y + 1, x] * (1 - part[..., 0]) + after[y + 1, x + 1] * part[..., 0]
    back = top * (1 - part[..., 1]) + bottom * part[..., 1]
    kept = ~truth.occluded[0] & ~truth.sky[0] & (np.abs(truth.flow[0]).max(axis=-1) > 0.3)
    assert kept.mean() > 0.2
    error = np.abs(back - clip.rgb[0]).mean(axis=-1)[kept]
    moved = np.abs(after - clip.rgb[0]).mean(axis=-1)[kept]
    assert np.median(error) < 0.5 * np.median(moved)


def test_shadows_are_darker_and_fall_away_from_the_sun():
    ball = Thing(kind="sphere", size=(0.3,), material="plastic")
    scene = still([GROUND, (ball, (0.0, 0.0, 0.8))], eye=(0.01, 0.0, 6.0), target=(0.0, 0.0, 0.0))
    scene = replace(scene, sky=Sky(sun=(0.0, -1.0, 1.0), haze=0.0, clouds=0.0))
    clip = draw(scene)
    # From above with x towards the lower edge: the shadow of a ball 0.8 m up lies 0.8 m along +y, to the right.
    grey = clip.rgb[0].mean(axis=-1)
    scale = 64 / 6.0
    row, column = 32, round(31.5 + 0.8 * scale)
    opposite = round(31.5 - 0.8 * scale)
    assert grey[row, column] < 0.6 * grey[row, opposite]


def test_a_box_of_glass_shifts_what_is_behind_it_by_snells_law():
    """A straight edge seen through a slanted pane of glass is shifted by t sin(a) (1 - cos a / (n cos b))."""
    angle, thick = np.radians(40), 0.5
    wall = Thing(kind="box", size=(0.05, 20.0, 20.0), material="plastic")
    bar = Thing(kind="box", size=(0.02, 0.8, 20.0), material="plastic", colour=(0.0, 0.0, 0.0))
    pane = Thing(kind="box", size=(thick / 2, 1.5, 1.5), material="glass")
    things = [(wall, (-3.0, 0.0, 0.0)), (bar, (-2.9, 0.8, 0.0))]
    far = {"eye": (60.0, 0.0, 0.0), "target": (0.0, 0.0, 0.0), "focal": 30.0}  # rays all but parallel
    turned = still([*things, (pane, (0.0, 0.0, 0.0))], **far)
    rotations = turned.thing_rotations.copy()
    rotations[:, 2] = [np.cos(angle / 2), 0, 0, np.sin(angle / 2)]

    def edge(scene):
        """Column where the wall ends and the dark bar begins."""
        row = draw(replace(scene, sky=Sky(sun=(1.0, -0.2, 0.5), clouds=0.0)), 128).rgb[0, 64].mean(axis=-1)
        steps = np.abs(np.diff(row[30:98]))
        return 30 + (np.arange(len(steps)) * steps).sum() / steps.sum()

    shift_px = edge(replace(turned, thing_rotations=rotations)) - edge(still(things, **far))
    inside = np.arcsin(np.sin(angle) / GLASS)
    shift_m = thick * np.sin(angle) * (1 - np.cos(angle) / (GLASS * np.cos(inside)))
    px_per_m = 30 * 128 / 62.9
    assert shift_m * px_per_m > 8
    assert abs(shift_px) == pytest.approx(shift_m * px_per_m, abs=1.0)  # an edge is found within a pixel


def test_a_mirror_shows_what_is_behind_the_camera():
    mirror = Thing(kind="box", size=(0.05, 2.0, 2.0), material="metal")
    red = Thing(kind="box", size=(0.05, 1.0, 20.0), material="plastic", colour=(1.0, 0.0, 0.0))
    clip = draw(still([(mirror, (-1.0, 0.0, 1.0)), (red, (8.0, 3.0, 1.0))], eye=(4.0, 0.0, 1.0)))
    redness = clip.rgb[0, ..., 0].astype(int) - clip.rgb[0, ..., 2]
    # At y = 3 seen over the mirror: on the right, since +y is right for a camera that looks along -x.
    assert redness[32, 44:58].max() > 60 and redness[32, 5:20].max() < 40


def test_people_wear_what_they_are_said_to_wear():
    person = Person(shirt=(0.0, 0.0, 0.9), trousers=(0.0, 0.6, 0.0), pattern="plain")
    clip = draw(still([GROUND], eye=(5.0, 0.0, 1.0), people=[(person, (0.0, 0.0, 0.96))], focal=2.0), 128)
    rgb, part = clip.rgb[0].astype(int), clip.truth.densepose[0]
    assert (rgb[part == 2].mean(axis=0).argmax() == 2) and (rgb[part == 11 + 2].mean(axis=0).argmax() == 1)


def test_glass_is_drawn_clear_and_people_are_never_transparent():
    glass = Thing(kind="sphere", size=(0.4,), material="glass")
    wall = Thing(kind="box", size=(0.5, 20.0, 20.0), material="plastic", colour=(0.0, 0.7, 0.0))
    clip = draw(still([(glass, (1.0, 0.0, 1.0)), (wall, (-1.0, 0.0, 1.0))]))
    inside = clip.truth.refractive[0]
    assert clip.rgb[0][inside].mean(axis=0).argmax() == 1


@pytest.mark.parametrize("name", TEXTURES)
def test_textures_tile_and_their_halvings_keep_the_mean(name):
    texture = texture_of(name, 1)
    picture = texture.texels[: SIZE * SIZE].reshape(SIZE, SIZE, 3)
    assert picture.min() >= 0 and picture.max() <= 1
    np.testing.assert_allclose(texture.texels[-1], picture.mean(axis=(0, 1), dtype=np.float64), atol=1e-5)  # float32
    place = np.array([[0.25, 0.75], [1.25, -0.25], [-3.75, 7.75]])
    colours = texture.sample(place, np.full(3, 1 / SIZE))
    np.testing.assert_allclose(colours, colours[:1].repeat(3, axis=0), atol=1e-5)
    flat = texture.sample(np.random.default_rng(0).random((50, 2)), np.full(50, 4.0))
    np.testing.assert_allclose(flat, np.tile(texture.texels[-1], (50, 1)), atol=1e-6)


def test_frames_are_drawn_one_by_one_as_in_a_clip():
    scene = make_scene("objects", seed=2, number=0, num_frames=3)
    tier = make_tier("fast")
    alone = [tier.draw(posed, camera, truth.first) for posed, camera, truth in frame_by_frame(Geometry(scene), 48, 48)]
    assert np.array_equal(np.stack(alone), draw(scene, 48).rgb)
