"""Published masks: found in OpenS2V's files by key or file name, brought onto our frames, followed both ways."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from openuni.annotators import opens2v_seeds as module
from openuni.annotators.opens2v_seeds import SeedFiles, entries
from openuni.annotators.segmentation_seeds import OpenS2VMasks, frame_of
from openuni.engine.stage import Absent
from openuni.errors import BadInput
from tests.annotators.colour_world import BLUE, RED, ColourFollower, mask_of, paint
from tests.annotators.tiny_experts import hide_caches
from tests.annotators.tiny_masks import save_sam2

HEIGHT, WIDTH, FPS = 40, 60, 10.0


def rle_of(mask):
    """Run lengths of a mask as a list, by a plain loop down the columns."""
    runs, value = [0], False
    for x in range(mask.shape[1]):
        for y in range(mask.shape[0]):
            if bool(mask[y, x]) != value:
                runs.append(0)
                value = not value
            runs[-1] += 1
    return {"size": list(mask.shape), "counts": runs, "score": [0.9]}


def entry(masks, labels, path="a/one.mp4", frame=2, cut=(5, 20), crop=(10, 60, 0, 40), ground=("grass",)):
    inner = {str(n): rle_of(mask[crop[2] : crop[3], crop[0] : crop[1]]) for n, mask in enumerate(masks, start=1)}
    return {
        "metadata": {
            "cut": list(cut), "crop": list(crop), "fps": FPS, "path": path, "cap": ["Kühe \u2713 {[\"}"],
            "resolution": {"height": HEIGHT, "width": WIDTH},
        },
        "word_tags": {"background": list(ground)},
        "annotation": {
            "mask_map": {str(n): {"class_name": label} for n, label in enumerate(labels, start=1)},
            "mask_annotation": {str(frame): inner},
        },
    }  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_cached(tmp_path, monkeypatch):
    hide_caches(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    save_sam2(folder / "sam2.1-hiera-large")
    return folder


@pytest.fixture
def clip():
    red = (RED, 12, {t: (12 + t, 4) for t in range(8)})
    blue = (BLUE, 9, {t: (40 - t, 25) for t in range(8)})
    return paint(8, HEIGHT, WIDTH, [red, blue])


def view(rgb, key="one", path="a/one.mp4", start_s=0.0, fps=FPS):
    times_s = start_s + np.arange(len(rgb)) / fps
    return SimpleNamespace(
        frames=SimpleNamespace(rgb=rgb, times_s=times_s), clip=SimpleNamespace(source_key=key, path=path)
    )


def write(folder, content):
    folder.mkdir(exist_ok=True)
    (folder / "part0.json").write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    return folder


def stage_of(weights, seeds, monkeypatch):
    stage = OpenS2VMasks(weights=str(weights), seeds=str(seeds), device="cpu")
    stage.setup()
    monkeypatch.setattr(stage.sam2, "open", lambda rgb, cache: ColourFollower(rgb))
    return stage


def test_published_masks_are_followed_to_both_ends_with_labels_and_subjects(weights, clip, tmp_path, monkeypatch):
    # Frame 2 behind the cut's start 5 is the file's frame 7, at 0.7 s; our clip begins at 0.4 s: its frame 3.
    masks = [mask_of(clip[3], RED), mask_of(clip[3], RED), mask_of(clip[3], BLUE), np.ones((HEIGHT, WIDTH), bool)]
    content = {"one_step1": entry(masks, ["woman", "individual", "ball", "grass"])}
    stage = stage_of(weights, write(tmp_path / "j", content), monkeypatch)
    result = stage(view(clip, start_s=0.4))
    for t in range(8):
        assert np.array_equal(result.map.data[t] == 1, mask_of(clip[t], RED))
        assert np.array_equal(result.map.data[t] == 2, mask_of(clip[t], BLUE))
    assert result.map.facts == {"labels": ["person", "ball"], "subjects": "one person and one ball"}


def test_masks_are_found_by_key_and_by_file_name(weights, clip, tmp_path):
    content = {"k1": entry([mask_of(clip[2], RED)], ["man"], path="x/b.mp4"), "k2": entry([], [], path="c.mp4")}
    files = SeedFiles(write(tmp_path / "j", content))
    assert files.of("k1").masks[0].label == "person" and files.of("b.mp4").masks[0].label == "person"
    assert files.of("nothing", "c.mp4").masks == [] and files.of("nothing") is None
    assert np.array_equal(files.of("k1").masks[0].mask, mask_of(clip[2], RED))  # the crop is put back
    assert files.of("k1").time_s == 0.7


def test_files_are_read_in_pieces_and_places_are_bytes(tmp_path, monkeypatch):
    content = {f"clé{n}": {"text": 'Kühe ✓ {["} \\ ' * n, "list": list(range(n))} for n in range(40)}
    folder = write(tmp_path / "j", content)
    raw = (folder / "part0.json").read_bytes()
    for chunk in (1, 7, 64, 1 << 20):
        monkeypatch.setattr(module, "CHUNK", chunk)
        found = list(entries(folder / "part0.json"))
        assert [key for key, *_ in found] == list(content)
        assert [json.loads(raw[start:end]) for _, _, start, end in found] == list(content.values())


def test_the_real_file_names_its_three_women_eight_times():
    from pathlib import Path

    real = Path(__file__).parents[3] / "shared" / "data" / "opens2v" / "dataset1.json"
    if not real.is_file():
        pytest.skip("the real OpenS2V example is not on this machine")
    seeds = SeedFiles(real).of("gm1252760410-365677148_part2.mp4")
    assert seeds.time_s == 0 and {one.mask.shape for one in seeds.masks} == {(720, 1280)}
    assert sum(one.label == "person" for one in seeds.masks) == 8  # 2, 4, 8 and 9 to 12 and 14 of its masks


@pytest.mark.parametrize("text", ["[1]", '{"a" 1}', '{"a": {', '{"a": 1 "b": 2}', "", "{1: 2}"])
def test_what_is_no_such_file_is_one_line(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(BadInput, match="x.json is no json file of OpenS2V"):
        SeedFiles(tmp_path / "x.json")


def test_clips_without_masks_or_with_a_damaged_entry_are_told(weights, clip, tmp_path, monkeypatch):
    broken = entry([mask_of(clip[2], RED)], ["man"], path="broken.mp4")
    broken["annotation"]["mask_annotation"]["2"]["1"]["counts"] = [1, 2]
    late = entry([mask_of(clip[2], RED)], ["man"], path="late.mp4", frame=90)
    stage = stage_of(weights, write(tmp_path / "j", {"b": broken, "l": late, "n": {"metadata": 3}}), monkeypatch)
    with pytest.raises(Absent, match="no_seeds"):
        stage(view(clip, key="other", path="other.mp4"))
    with pytest.raises(Absent, match="seeds_outside"):
        stage(view(clip, path="late.mp4"))
    with pytest.raises(ValueError, match="must add up to"):
        stage(view(clip, path="broken.mp4"))
    with pytest.raises(ValueError, match="no OpenS2V clip"):
        stage(view(clip, key="n", path="n.mp4"))


def test_seeds_must_be_given_and_their_content_counts(weights, tmp_path):
    for seeds in ("", str(tmp_path / "nowhere")):
        with pytest.raises(BadInput, match="opens2v-masks needs the published masks"):
            OpenS2VMasks(weights=str(weights), seeds=seeds)
    one = OpenS2VMasks(weights=str(weights), seeds=str(write(tmp_path / "a", {})))
    same = OpenS2VMasks(weights=str(weights), seeds=str(write(tmp_path / "b", {})))
    other = OpenS2VMasks(weights=str(weights), seeds=str(write(tmp_path / "c", {"k": 1})))
    assert one.parameters() == same.parameters() != other.parameters()


def test_the_frame_of_the_masks_is_the_nearest_in_time():
    seeds = module.Seeds(0.52, [])
    assert frame_of(seeds, np.arange(10) / 10) == 5
    with pytest.raises(Absent, match="seeds_outside"):
        frame_of(seeds, np.arange(3) / 10)
