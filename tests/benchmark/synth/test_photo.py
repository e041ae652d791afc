"""Tier photo: truth is Embree's, Mitsuba sees what Embree sees in the colours of tier fast, water bends by Snell's law.

What needs Mitsuba or the denoiser is left out where they are not installed.
"""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from openuni.benchmark.synth import photo, variants
from openuni.benchmark.synth.baked import MAX_TEXELS, bake
from openuni.benchmark.synth.families import make_scene
from openuni.benchmark.synth.geometry import Geometry
from openuni.benchmark.synth.looks import albedo
from openuni.benchmark.synth.path_scene import dimming, level_picture
from openuni.benchmark.synth.photo import PhotoTier
from openuni.benchmark.synth.render import make_tier, render_clip
from openuni.benchmark.synth.scene import Person, Sky, Thing
from openuni.benchmark.synth.sky import sky_colour, sky_light
from openuni.benchmark.synth.texture import SIZE, texture_of
from openuni.benchmark.synth.tone import linear, to_bytes, tonemap
from openuni.cli import app
from openuni.errors import BadInput, UnknownName
from tests.benchmark.synth.scenes import still
from tests.benchmark.synth.tumbler import look_into

DENOISER = importlib.util.find_spec("pyoidn") is not None
needs_mitsuba = pytest.mark.skipif(importlib.util.find_spec("mitsuba") is None, reason="mitsuba is not installed")
needs_denoiser = pytest.mark.skipif(not DENOISER, reason="pyoidn is not installed")
GROUND = (Thing(kind="plane", size=(150.0,), material="concrete", scenery=True), (0.0, 0.0, 0.0))


def tier(samples=4, denoise=DENOISER):
    made = PhotoTier(variant="scalar_rgb", samples=samples, denoise=denoise)
    made.setup()
    return made


def draw(scene, size=64, **settings):
    return render_clip(scene, height=size, width=size, tier=tier(**settings))


@pytest.mark.parametrize("kind", ["sphere", "rock", "person"])
def test_a_baked_picture_has_the_colours_of_the_surface(kind):
    if kind == "person":
        scene = still([], people=[(Person(pattern="plain"), (0.0, 0.0, 0.96))])
    else:
        size = (0.3,) if kind == "sphere" else (0.3, 0.25, 0.2)
        scene = still([(Thing(kind=kind, size=size, material="marble", seed=3), (0.0, 0.0, 0.0))])
    posed = Geometry(scene).at(0)
    sheet = bake(posed, 0, 0.004)
    rng = np.random.default_rng(0)
    face, weights = rng.integers(0, len(posed.geometry.faces), 4000), rng.dirichlet(np.ones(3), 4000)
    height, width = sheet.picture.shape[:2]
    at = (sheet.places[face] * weights[..., None]).sum(axis=1) * [width, height] - 0.5
    x, y = np.floor(at + 1e-4).astype(int).T
    part_x, part_y = (at - np.stack([x, y], -1)).T[..., None]
    top = sheet.picture[y, x] * (1 - part_x) + sheet.picture[y, x + 1] * part_x
    bottom = sheet.picture[y + 1, x] * (1 - part_x) + sheet.picture[y + 1, x + 1] * part_x
    normal = posed.shading_normals(face, weights)
    wanted = albedo(posed, 0, face, weights, normal, np.full(len(face), 0.004))
    error = np.abs(top * (1 - part_y) + bottom * part_y - wanted).max(axis=-1)
    # A person's colours jump at hems, which a texel of 4 mm cannot follow.
    assert np.quantile(error, 0.9) < 0.02 and error.mean() < 0.02


def test_a_surface_too_large_for_its_texels_gets_coarser_ones():
    posed = Geometry(still([(Thing(kind="sphere", size=(3.0,), material="wood"), (0.0, 0.0, 0.0))])).at(0)
    assert bake(posed, 0, 0.0001).picture[..., 0].size <= 1.5 * MAX_TEXELS  # rows are not always full


def test_between_two_levels_a_texture_is_their_blend():
    texture = texture_of("marble", 2)
    fine, half, coarse = (level_picture(texture, level) for level in (2.0, 2.5, 3.0))
    assert fine.shape == half.shape == (SIZE // 4, SIZE // 4, 3) and len(coarse) == SIZE // 8
    away = np.abs(half - fine).mean()
    all_the_way = np.abs(coarse.repeat(2, axis=0).repeat(2, axis=1) - fine).mean()
    assert 0 < away < 0.6 * all_the_way  # half of it, and interpolated
    np.testing.assert_allclose(half.mean(axis=(0, 1)), fine.mean(axis=(0, 1)), atol=1e-5)  # float32


def test_the_skys_light_is_that_of_tier_fast_unless_day_would_become_dusk():
    white = np.ones((64, 128, 3), np.float32)
    dim = Sky(haze=0.0)
    light = sky_light(dim).mean()
    assert dimming(dim, white * np.float32(light / 0.9)) == pytest.approx(0.9, abs=1e-3)  # sums over 64 rows
    assert dimming(dim, 10 * white) == 0.75
    assert dimming(dim, 0.1 * white) == 1


def test_a_variant_that_aborts_the_process_is_only_reported(monkeypatch):
    monkeypatch.setattr(variants, "PROBE", "import os; os.abort()")
    variants.why_not.cache_clear()
    try:
        assert variants.why_not("llvm_ad_rgb") == "it ended the process with signal 6"
        with pytest.raises(BadInput, match="cannot render here. cuda_ad_rgb: it ended .* Use --tier fast"):
            variants.choose_variant()
    finally:
        variants.why_not.cache_clear()


def test_variants_are_tried_fastest_first(monkeypatch):
    tried = []

    def why_not(variant):
        tried.append(variant)
        return "" if variant == "scalar_rgb" else "no"

    monkeypatch.setattr(variants, "why_not", why_not)
    assert variants.choose_variant() == "scalar_rgb" and tried == ["cuda_ad_rgb", "llvm_ad_rgb", "scalar_rgb"]
    with pytest.raises(BadInput, match="llvm_ad_rgb: no. Choose another"):
        variants.choose_variant("llvm_ad_rgb")
    with pytest.raises(UnknownName, match="Unknown variant of Mitsuba 'scalar'"):
        variants.choose_variant("scalar")


def test_without_the_extra_one_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(photo, "find_spec", lambda name: None)
    arguments = ["unibench", "render", "--out", str(tmp_path / "a"), "--tier", "photo", "--clips", "1"]
    result = CliRunner().invoke(app, arguments)
    assert "needs mitsuba and pyoidn. Install: pip install 'openuni[render]'." in str(result.exception)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": "0"}, "photo.samples is 0; give 1 to 4096"),
        ({"samples": "many"}, "photo.samples"),
        ({"rays": "3"}, "Unknown parameter of photo 'rays'"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(settings, message):
    with pytest.raises((BadInput, UnknownName), match=message):
        make_tier("photo", settings)


def test_linear_undoes_the_pictures_curve():
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_bytes(linear(levels)), levels)


@needs_mitsuba
@pytest.mark.parametrize("family", ["two_people", "refraction"])
def test_truth_is_the_same_bytes_as_with_tier_fast_and_rgb_repeats(family):
    scene = make_scene(family, seed=2, number=0, num_frames=2)
    first, second = draw(scene, 48, samples=2), draw(scene, 48, samples=2)
    assert first.truth.sha256 == render_clip(scene, height=48, width=48, tier=make_tier("fast")).truth.sha256
    assert np.array_equal(first.rgb, second.rgb)
    assert first.tier == "photo" and first.rgb.std() > 10


@needs_mitsuba
def test_the_sky_is_where_it_is_drawn():
    behind = (Thing(kind="sphere", size=(0.1,), material="plastic"), (-5.0, 0.0, 0.0))
    scene = still([behind], eye=(0.0, 0.0, 1.0), target=(1.0, 0.7, 1.6))
    scene = replace(scene, sky=Sky(sun=(0.6, 0.5, 0.55), clouds=0.7, seed=4))
    clip = draw(scene, samples=16, denoise=False)
    directions = scene.camera(0, 64, 64).directions(scene.camera(0, 64, 64).pixels())
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    colours = sky_colour(scene.sky, directions)
    errors = {}
    for factor in np.linspace(0.7, 1.0, 31):
        wanted = to_bytes(tonemap(colours * np.float32(factor))).reshape(64, 64, 3)
        errors[factor] = np.abs(wanted.astype(int) - clip.rgb[0]).mean()
    assert min(errors.values()) < 2  # levels of 255: texels of 0.35 degrees
    assert 0.74 < min(errors, key=errors.get) <= 1


@needs_mitsuba
def test_mitsuba_sees_each_thing_where_embree_does():
    """Plain red things before the sky cover the pixels of truth's masks."""
    red = {"material": "plastic", "colour": (1.0, 0.0, 0.0)}
    things = [
        (Thing(kind="box", size=(0.3, 0.2, 0.4), **red), (0.0, -0.9, 1.2)),
        (Thing(kind="sphere", size=(0.4,), **red), (0.0, 0.3, 0.6)),
        (Thing(kind="capsule", size=(0.1, 0.3), **red), (0.5, 0.9, 1.5)),
    ]
    scene = still(things, eye=(4.0, 0.3, 1.4), focal=1.3)
    clip = draw(scene, 96, samples=16, denoise=False)
    seen = clip.rgb[0, ..., 0].astype(int) > clip.rgb[0, ..., 2].astype(int) + 20
    mask = clip.truth.segmentation[0] > 0
    assert mask.sum() > 1000
    # Pixels on an outline are partly covered: less than one in three of the outline's own.
    assert (seen != mask).sum() < 0.04 * mask.sum()


@needs_mitsuba
@pytest.mark.parametrize("material", ["wood", "checker", "marble", "plastic", "metal", "tiles"])
@pytest.mark.parametrize("kind", ["box", "sphere", "cylinder"])
def test_materials_look_as_in_tier_fast(kind, material):
    size = {"box": (0.4, 0.5, 0.3), "sphere": (0.5,), "cylinder": (0.35, 0.45)}[kind]
    thing = Thing(kind=kind, size=size, material=material, colour=(0.9, 0.5, 0.3), seed=5)
    scene = still([GROUND, (thing, (0.0, 0.0, 0.6))], eye=(2.5, 0.3, 1.4), target=(0.0, 0.0, 0.6), focal=1.6)
    scene = replace(scene, sky=Sky(sun=(0.8, 0.4, 0.6), clouds=0.0), thing_rotations=scene.thing_rotations)
    photo_clip, fast_clip = draw(scene, 64, samples=8), render_clip(scene, height=64, width=64, tier=make_tier("fast"))
    mask = fast_clip.truth.segmentation[0] == 1
    ours, theirs = (clip.rgb[0][mask].astype(float) for clip in (photo_clip, fast_clip))
    assert np.abs(ours.mean(axis=0) - theirs.mean(axis=0)).max() < 40  # levels: light that bounces is real here
    if material in ("checker", "tiles"):
        # Squares and joints lie in the same places. Metal is left out: what it mirrors differs.
        assert np.corrcoef(ours[:, 0], theirs[:, 0])[0, 1] > 0.75


@needs_mitsuba
@pytest.mark.parametrize("pair", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_water_breaks_a_straw_by_snells_law_and_an_empty_glass_does_not(pair):
    """Against rays through ideal cylinders of glass and water, followed in the test.

    Without the denoiser, which is guided by tier fast's refraction. 1.5 degrees: the straw is 4 to 8 px wide, its sides
    are hidden in places by what the glass mirrors, and 0.1 to 0.8 degrees were seen in four scenes.
    """
    wet, dry = (
        look_into(make_scene("refraction", seed=3, number=2 * pair + k, num_frames=2), tier(16, denoise=False))
        for k in (0, 1)
    )
    assert abs(wet.expected_break_deg) > 4
    assert wet.break_deg == pytest.approx(wet.expected_break_deg, abs=1.5)
    assert wet.median_error_px < 0.7 and dry.median_error_px < 0.7
    assert abs(dry.break_deg) < 1


@needs_mitsuba
@needs_denoiser
def test_the_denoiser_brings_few_paths_nearer_to_many():
    scene = make_scene("refraction", seed=3, number=0, num_frames=1)
    many, raw, clean = (draw(scene, 64, samples=n, denoise=d).rgb.astype(float) for n, d in ((64, 0), (2, 0), (2, 1)))
    assert ((clean - many) ** 2).mean() < 0.3 * ((raw - many) ** 2).mean()


@needs_mitsuba
def test_the_command_line_renders_with_it(tmp_path):
    arguments = ["unibench", "render", "--out", str(tmp_path / "a"), "--tier", "photo", "--clips", "1", "--size", "32"]
    arguments += ["--frames", "2", "--families", "refraction", "--ray", "off", "--workers", "1"]
    for setting in ("samples=1", "variant=scalar_rgb", f"denoise={DENOISER}"):
        arguments += ["--set", f"photo.{setting}"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert '"variant": "scalar_rgb"' in (tmp_path / "a" / "events.jsonl").read_text()
    wrong = CliRunner().invoke(app, [*arguments, "--set", "fast.samples=1"])
    assert "Unknown part in --set 'fast'" in str(wrong.exception)
