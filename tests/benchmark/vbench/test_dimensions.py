"""The eight dimensions are VBench's own numbers on three clips with seeded weights: tests/golden/vbench.

The clips differ in size (one odd, one over 512 px), length and rate; weights lie where VBench keeps them.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from openuni.benchmark.records import Record
from openuni.benchmark.vbench.aggregate import means
from openuni.benchmark.vbench.dimensions import COMPUTED
from openuni.benchmark.vbench.frames import (
    ClipFrames,
    clip_pixels,
    dino_pixels,
    imaging_pixels,
    middle_frames,
    padding,
    planes,
    read_video,
    viclip_pixels,
)
from openuni.benchmark.vbench.records import rows
from openuni.benchmark.vbench.scorer import FEATURES, Scorer
from tests.annotators.tiny_experts import hide_caches
from tests.benchmark.vbench.seeded import plain_merges, write_cache

FOLDER = Path(__file__).parents[2] / "golden" / "vbench"
GOLDEN = json.loads((FOLDER / "numbers.json").read_text())
CLIPS = sorted(GOLDEN["prompts"])


@pytest.fixture(scope="module")
def merges(tmp_path_factory):
    try:
        import open_clip

        return Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz")
    except ImportError:
        return plain_merges(tmp_path_factory.mktemp("merges") / "merges.gz")


@pytest.fixture(scope="module")
def cache(tmp_path_factory, merges):
    folder = tmp_path_factory.mktemp("vbench")
    write_cache(folder, GOLDEN["shapes"], merges)
    return folder


@pytest.fixture(scope="module")
def scorer(cache, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        hide_caches(patch, tmp_path_factory.mktemp("none"))
        patch.setenv("VBENCH_CACHE_DIR", str(cache))
        return Scorer(device="cpu", cache=tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def decoded():
    """Clips with a count of how often each is decoded."""
    counts = {}

    def clip(name):
        def read():
            counts[name] = counts.get(name, 0) + 1
            return read_video(FOLDER / f"{name}.mp4")

        return ClipFrames(content=name, read=read)

    return {name: clip(name) for name in CLIPS}, counts


@pytest.fixture(scope="module")
def values(scorer, decoded):
    return {name: scorer.score(clip, prompt=GOLDEN["prompts"][name]) for name, clip in decoded[0].items()}


def test_every_weight_is_found_in_vbenchs_cache(scorer):
    assert scorer.missing == {} and set(scorer.found) == set(FEATURES)


@pytest.mark.parametrize("dimension", COMPUTED)
def test_each_dimension_of_each_clip_is_vbenchs_own(values, dimension, merges):
    if dimension == "overall_consistency" and "open_clip" not in str(merges):
        pytest.skip("CLIP's list of merges is not here")
    scale = 100 if dimension == "imaging_quality" else 1  # VBench's list of clips is not over 100, its mean is
    found = {name: scale * values[name][dimension].value for name in CLIPS}
    assert found == pytest.approx(GOLDEN["clips"][dimension], abs=1e-4)


@pytest.mark.parametrize("dimension", COMPUTED)
def test_each_dimension_of_the_suite_is_vbenchs_own(values, dimension, merges):
    if dimension == "overall_consistency" and "open_clip" not in str(merges):
        pytest.skip("CLIP's list of merges is not here")
    records = [
        Record("vbench", "text", "rgb", "x", name, name, "", 0, one.metric, one.protocol, one.value, one.valid, "")
        for name in CLIPS
        for one in rows(values[name], flags={}, filtered=False)
    ]
    assert means(records)[dimension].value == pytest.approx(GOLDEN["suite"][dimension], abs=1e-4)


def test_consistency_over_a_suite_is_by_pairs_of_frames_so_long_clips_count_more(values):
    by_clip = [values[name]["subject_consistency"] for name in CLIPS]
    by_frames = sum(one.value * one.over for one in by_clip) / sum(one.over for one in by_clip)
    assert [one.over for one in by_clip] == [12, 8, 13]
    assert by_frames == pytest.approx(GOLDEN["suite"]["subject_consistency"], abs=1e-6)


def test_a_clip_is_decoded_once_for_all_dimensions(values, decoded):
    assert decoded[1] == dict.fromkeys(CLIPS, 1)


def test_motions_of_pairs_are_those_that_vbench_compares_with_its_threshold(scorer, decoded, values):
    for name, clip in decoded[0].items():
        found = scorer._feature("raft", clip)
        assert found["motions"].tolist() == pytest.approx(GOLDEN["motions"][name], rel=1e-3, abs=1e-3)


def test_features_are_kept_by_content_and_then_nothing_is_decoded(cache, tmp_path, monkeypatch, decoded, values):
    monkeypatch.setenv("VBENCH_CACHE_DIR", str(cache))
    first = Scorer(cache=tmp_path, device="cpu")
    dimensions = ("temporal_flickering", "imaging_quality", "subject_consistency")
    found = first.score(decoded[0]["a"], dimensions=dimensions)

    def never():
        raise AssertionError("decoded again")

    again = Scorer(cache=tmp_path, device="cpu").score(
        ClipFrames(content="a", read=never), prompt="other", dimensions=dimensions
    )
    assert again == found and found["imaging_quality"] == values["a"]["imaging_quality"]
    with pytest.raises(AssertionError, match="decoded again"):
        Scorer(cache=tmp_path, device="cpu").score(ClipFrames(content="b", read=never), dimensions=dimensions)


def test_without_weights_only_flickering_has_a_value_and_the_rest_say_what_gets_them(monkeypatch, tmp_path, decoded):
    hide_caches(monkeypatch, tmp_path)
    monkeypatch.setenv("VBENCH_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    bare = Scorer(device="cpu")
    found = bare.score(decoded[0]["a"], prompt="x")
    assert {name for name, one in found.items() if one.value is not None} == {"temporal_flickering"}
    assert {one.reason for one in found.values()} == {"", "no_weights"}
    assert "Weights of amt-s: amt-s.pth not found" in bare.missing["amt"]
    assert "curl -L" in bare.missing["amt"] and "hf download openai/clip-vit-base-patch32" in bare.missing["clip"]


SIZES = [(480, 640), (719, 405), (145, 175), (224, 224), (225, 224), (160, 528)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_resizing_is_torchvisions_without_antialiasing(height, width):
    rgb = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    floats, octets = planes(rgb), torch.from_numpy(rgb).permute(0, 3, 1, 2)
    bicubic = transforms.Compose(
        [transforms.Resize(224, interpolation=InterpolationMode.BICUBIC, antialias=False), transforms.CenterCrop(224)]
    )
    bilinear = transforms.Resize(224, antialias=False)
    mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    clip = transforms.Normalize(mean, deviation)
    dino = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    torch.testing.assert_close(dino_pixels(floats), dino(bilinear(floats) / 255), atol=1e-5, rtol=0)
    torch.testing.assert_close(clip_pixels(floats), clip(bicubic(floats) / 255), atol=1e-5, rtol=0)
    torch.testing.assert_close(viclip_pixels(floats), clip(bicubic(octets).float() / 255), atol=1e-5, rtol=0)
    longest = max(height, width)
    if longest > 512:
        size = (int(512.0 / longest * height), int(512.0 / longest * width))
        expected = transforms.Resize(size, antialias=False)(floats) / 255
        torch.testing.assert_close(imaging_pixels(floats), expected, atol=1e-6, rtol=0)
    else:
        assert torch.equal(imaging_pixels(floats), floats / 255)


def test_antialiasing_would_move_the_pixels_by_more_than_a_grey_level():
    rgb = np.random.default_rng(0).integers(0, 256, (1, 480, 640, 3), dtype=np.uint8)
    smooth = transforms.Resize(224, antialias=True)(planes(rgb)) / 255
    sharp = dino_pixels(planes(rgb)) * torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)
    sharp += torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
    assert (sharp - smooth).abs().mean() > 1 / 255


@pytest.mark.parametrize(
    ("length", "expected"),
    [(16, [0, 2, 4, 6, 8, 10, 12, 14]), (8, list(range(8))), (3, [0, 1, 2, 2, 2, 2, 2, 2]), (1, [0] * 8)],
)
def test_eight_frames_are_the_middles_of_even_parts_the_last_repeated(length, expected):
    assert middle_frames(8, length) == expected


def test_padding_is_centred_with_the_odd_pixel_behind():
    assert padding(145, 175, 8) == (0, 1, 3, 4)
    assert padding(144, 176, 16) == (0, 0, 0, 0)
