"""Depth of single frames: loading, the library's own path, one scale for the clip, sky, what is refused."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from openuni.annotators.depth_align import align_frames, robust_affine
from openuni.annotators.depth_frames import DepthAnythingSmall, DepthPro, relative_map, sky_of
from openuni.benchmark.metrics.depth import FLICKER
from openuni.benchmark.synth.boxes import scene
from openuni.engine.stage import Absent, fingerprint
from openuni.errors import BadInput
from openuni.modality import modality
from tests.annotators.tiny_experts import save_depth_anything, save_depth_pro

SMALL = "Depth-Anything-V2-Small-hf"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    save_depth_anything(folder / SMALL)
    save_depth_pro(folder / "DepthPro-hf")
    return folder


@pytest.fixture(scope="module")
def walk():
    return scene(1, num_frames=16, height=120, width=160, camera="walk", num_movers=1)


def view(rgb):
    return SimpleNamespace(frames=SimpleNamespace(rgb=rgb))


def made(cls, weights, rgb, **settings):
    stage = cls(weights=str(weights), device="cpu", **settings)
    stage.setup()
    return stage, stage(view(rgb))


def test_depth_anything_is_the_librarys_own_path_frame_by_frame(weights, walk):
    import transformers

    rgb = walk.rgb[:5]
    _, result = made(DepthAnythingSmall, weights, rgb, align=False, batch_size=2)
    processor = transformers.AutoImageProcessor.from_pretrained(weights / SMALL)
    model = transformers.AutoModelForDepthEstimation.from_pretrained(weights / SMALL)
    for frame, mine in zip(rgb, result.map.data, strict=True):
        with torch.no_grad():
            outputs = model(**processor(images=frame, return_tensors="pt"))
        wanted = processor.post_process_depth_estimation(outputs, target_sizes=[frame.shape[:2]])[0]["predicted_depth"]
        assert wanted.std() > 1e-3  # it says something of the picture
        assert np.abs(mine - wanted.numpy()).max() < 1e-5  # float32; batches of other sizes add up in another order


def test_depth_pro_is_the_librarys_own_path_for_one_frame(weights, walk):
    import transformers

    rgb = walk.rgb[:1]
    _, result = made(DepthPro, weights, rgb)
    processor = transformers.AutoImageProcessor.from_pretrained(weights / "DepthPro-hf")
    model = transformers.AutoModelForDepthEstimation.from_pretrained(weights / "DepthPro-hf")
    with torch.no_grad():
        outputs = model(**processor(images=rgb[0], return_tensors="pt"))
    wanted = processor.post_process_depth_estimation(outputs, target_sizes=[rgb.shape[1:3]])[0]
    depth = wanted["predicted_depth"].numpy()
    seen = np.isfinite(result.map.data[0])
    assert result.map.facts["kind"] == "metric_depth"
    assert result.map.facts["focal_px"] == pytest.approx(float(wanted["focal_length"]), rel=1e-5)
    assert seen.mean() > 0.5 and np.abs(result.map.data[0] / depth - 1)[seen].max() < 1e-5
    assert (depth[~seen] >= 9999).all()


def test_a_clip_has_one_focal_length_and_depth_goes_with_it(weights, walk):
    stage, _ = made(DepthPro, weights, walk.rgb[:1])
    ones = torch.ones(walk.rgb.shape[1:3])
    predicted = [
        {"predicted_depth": ones * focal, "focal_length": torch.tensor(focal)} for focal in (90.0, 100.0, 120.0)
    ]
    stage.align = False
    result = stage.finish(walk.rgb[:3], predicted)
    assert result.map.facts["focal_px"] == 100.0
    assert np.allclose(result.map.data, 100.0)


def test_maps_pass_the_codec_and_scores_are_the_declared_columns(weights, walk):
    for cls in (DepthAnythingSmall, DepthPro):
        stage, result = made(cls, weights, walk.rgb[:4])
        modality("depth").check(result.map)
        assert set(result.scores) <= {column.name for column in stage.columns}
        assert result.map.data.shape == walk.rgb[:4].shape[:3] and result.map.valid.all()


def planted(true, rng, spread):
    """Each frame under a scale and a shift of its own."""
    scale = np.exp(rng.normal(0, spread, len(true)))[:, None, None]
    shift = rng.normal(0, spread, len(true))[:, None, None] * true.std()
    return (true * scale + shift).astype(np.float32)


@pytest.mark.parametrize("camera", ["walk", "dolly", "static"])
def test_alignment_takes_out_a_planted_affine_of_every_frame(camera):
    clip = scene(2, num_frames=16, height=120, width=160, camera=camera, num_movers=1)
    true = np.nan_to_num(1 / clip.depth, posinf=0.0).astype(np.float32)
    raw = planted(true, np.random.default_rng(0), 0.1)
    aligned = relative_map(clip.rgb, raw, np.zeros(raw.shape, bool), align=True, trend_frames=8.0)
    before, after = error_over_spread(raw, true), error_over_spread(aligned.map.data, true)
    assert before > 0.15 and after < before / 4
    assert changes(aligned.map.data, true) < changes(raw, true) / 10  # flicker
    assert aligned.scores["scale_taken_out"] == pytest.approx(0.1, rel=0.5)


def test_alignment_changes_little_where_there_is_nothing_to_align():
    clip = scene(2, num_frames=16, height=120, width=160, camera="dolly", num_movers=1)
    true = np.nan_to_num(1 / clip.depth, posinf=0.0).astype(np.float32)
    aligned = relative_map(clip.rgb, true, np.zeros(true.shape, bool), align=True, trend_frames=8.0).map.data
    assert error_over_spread(aligned, true) < 0.01


def test_the_benchs_flicker_falls_too():
    clip = scene(1, num_frames=12, height=120, width=160, camera="walk", num_movers=0)
    true = clip.depth.astype(np.float32)
    raw = planted(1 / true, np.random.default_rng(1), 0.05)
    aligned = relative_map(clip.rgb, raw, np.zeros(raw.shape, bool), align=True, trend_frames=8.0).map.data
    seen = np.ones(true.shape, bool)
    depths = [(1 / np.maximum(fitted(one, 1 / true), 1e-3)).astype(np.float32) for one in (raw, aligned)]
    before, after = (FLICKER.function(one, true, seen, clip.flow, ~clip.occluded) for one in depths)
    assert after < before / 4


def fitted(data, true):
    """`data` after the scale and shift that fit `true` best over the clip."""
    columns = np.stack([data.ravel(), np.ones(data.size)], axis=1)
    scale, shift = np.linalg.lstsq(columns[::11], true.ravel()[::11], rcond=None)[0]
    return scale * data + shift


def error_over_spread(data, true):
    return float(np.abs(fitted(data, true) - true).mean() / true.std())


def changes(data, true):
    """Mean change from frame to frame of the frames' mean error."""
    means = (fitted(data, true) - true).mean(axis=(1, 2))
    return float(np.abs(np.diff(means)).mean())


def test_metric_depth_is_aligned_by_a_scale_alone():
    clip = scene(2, num_frames=12, height=120, width=160, camera="static", num_movers=1)
    scales = np.exp(np.random.default_rng(3).normal(0, 0.1, 12))
    raw = ((1 / clip.depth) * scales[:, None, None]).astype(np.float32)
    found = align_frames(clip.rgb, raw, np.ones(raw.shape, bool), with_shift=False, trend_frames=0.0)
    product = found.scale * scales
    assert np.abs(found.shift).max() < 1e-6
    assert product.std() / product.mean() < 0.005


def test_frames_that_do_not_belong_together_are_absent():
    rng = np.random.default_rng(0)
    rgb = np.repeat(rng.integers(0, 255, (1, 96, 128, 3), dtype=np.uint8), 6, axis=0)
    raw = (
        np.linspace(0, 1, 96 * 128, dtype=np.float32).reshape(1, 96, 128)
        * np.array([1, -1, 1, -1, 1, -1.0])[:, None, None]
    )
    with pytest.raises(Absent, match="inconsistent"):
        relative_map(rgb, raw.astype(np.float32), np.zeros(raw.shape, bool), align=True, trend_frames=8.0)


def test_sky_is_the_clips_farthest_value_and_is_not_aligned():
    clip = scene(2, num_frames=8, height=120, width=160, camera="walk", num_movers=1)
    true = np.nan_to_num(1 / clip.depth, posinf=0.0).astype(np.float32)
    raw = planted(true, np.random.default_rng(0), 0.1)
    raw -= raw.min() - 0.1
    raw[:, :30] = 0.0
    sky = sky_of(raw)
    assert sky[:, :30].all() and not sky[:, 30:].any()
    result = relative_map(clip.rgb, raw, sky, align=True, trend_frames=8.0)
    data = result.map.data
    assert len(np.unique(data[sky])) == 1 and data[sky][0] == data.min()
    assert result.scores["sky_fraction"] == pytest.approx(0.25)
    assert error_over_spread(data[:, 30:], true[:, 30:]) < 0.05


def test_windows_that_overlap_are_fitted_through_gross_errors():
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 1, 500)
    wanted = 2.5 * values - 0.3
    wanted[:100] = 40.0
    assert robust_affine(values, wanted) == pytest.approx((2.5, -0.3), abs=0.02)


def test_other_weights_give_another_fingerprint_and_another_place_does_not(weights, tmp_path):
    import shutil

    mine = DepthAnythingSmall(weights=str(weights))
    shutil.copytree(weights, tmp_path / "moved")
    moved = DepthAnythingSmall(weights=str(tmp_path / "moved"), batch_size=3, device="cpu")
    save_depth_anything(tmp_path / "other" / SMALL, seed=5)
    other = DepthAnythingSmall(weights=str(tmp_path / "other"))
    assert fingerprint(mine, read={}) == fingerprint(moved, read={}) != fingerprint(other, read={})


def test_a_folder_with_another_network_is_one_clear_line(weights, tmp_path):
    import shutil

    shutil.copytree(weights / "DepthPro-hf", tmp_path / SMALL)
    with pytest.raises(BadInput, match="holds a 'depth_pro' model, not 'depth_anything'"):
        DepthAnythingSmall(weights=str(tmp_path)).setup()


def test_tensors_that_are_missing_or_of_another_size_are_one_clear_line(weights, tmp_path):
    import shutil

    shutil.copytree(weights / SMALL, tmp_path / SMALL)
    config = json.loads((tmp_path / SMALL / "config.json").read_text())
    (tmp_path / SMALL / "config.json").write_text(json.dumps({**config, "fusion_hidden_size": 24}))
    with pytest.raises(BadInput) as caught:
        DepthAnythingSmall(weights=str(tmp_path)).setup()
    assert "\n" not in str(caught.value) and SMALL in str(caught.value) and "Fetch it again" in str(caught.value)
    (tmp_path / SMALL / "model.safetensors").write_bytes(b"<html>not found</html>")
    with pytest.raises(BadInput, match="cannot be loaded as DepthAnythingForDepthEstimation"):
        DepthAnythingSmall(weights=str(tmp_path)).setup()
