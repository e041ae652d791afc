"""The loader: the same samples for any number of ranks and workers, resumed or not, here or far away."""

import json
from pathlib import Path

import numpy as np
import pytest

from openuni.errors import BadInput, RunFailed
from openuni.modality import modality
from openuni.model.data.config import LoaderConfig
from openuni.model.data.loader import Loader
from openuni.model.data.sample import MAX_ATTEMPTS
from openuni.table import MODALITIES
from tests.model.tiny_build import FPS, HEIGHT, WIDTH, clip, write_build

BATCH = 6


def config(*builds, **changes):
    wanted = {"batch_size": BATCH, "num_frames": (5,), "fps": None, "sizes": ((32, 48),), "workers": 0}
    return LoaderConfig(builds=builds, **{**wanted, **changes})


def told(sample):
    """All of a sample that must not depend on who read it."""
    arrays = [sample.rgb.tobytes(), sample.times_s.tobytes()]
    for name, map in sorted(sample.maps.items()):
        arrays += [name, map.data.tobytes(), None if map.valid is None else map.valid.tobytes(), json.dumps(map.facts)]
        arrays += [(key, array.tobytes()) for key, array in sorted(map.arrays.items())]
    return sample.step, sample.index, sample.key, sample.flipped, sample.available, sample.replaced, arrays


def read(loader, start=0, stop=4):
    return [[told(sample) for sample in batch] for batch in loader.batches(start, stop)]


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Eight clips of two groups; all modalities, some clips without."""
    every = tuple(MODALITIES)
    clips = [clip(number, "ab"[number % 2], modalities=every[number % 3 :]) for number in range(8)]
    clips[1]["caption"] = "A dog on the left."
    clips[2]["about"] = {"subjects": "two persons"}
    return write_build(tmp_path_factory.mktemp("loader") / "build", clips)


@pytest.fixture(scope="module")
def expected(build):
    return read(Loader(config(build)))


def drawn_dark(name, map):
    """Stands for a rendering: depends on the modality and on the map that it is given."""
    return np.full((*map.data.shape[:1], 4, 4, 3), len(name), np.uint8)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_reader_that_draws_hands_on_frames_in_place_of_maps(build, workers):
    (plain,) = Loader(config(build)).batches(0, 1)
    (drawn,) = Loader(config(build, workers=workers), draw=drawn_dark).batches(0, 1)
    for one, other in zip(plain, drawn, strict=True):
        assert other.maps == {} and set(other.drawn) == set(one.maps) and one.drawn == {}
        for name, frames in other.drawn.items():
            assert np.array_equal(frames, drawn_dark(name, one.maps[name])) and frames.dtype == np.uint8
        assert np.array_equal(one.rgb, other.rgb)


def test_samples_have_the_batch_s_size_and_maps_that_pass_their_checks(build):
    loader = Loader(config(build, sizes=((16, 32),), fps=FPS / 2))
    for batch in loader.batches(0, 3):
        for sample in batch:
            assert sample.rgb.shape == (5, 16, 32, 3) and sample.rgb.dtype == np.uint8
            assert np.diff(sample.times_s).tolist() == pytest.approx([2 / FPS] * 4)
            assert set(sample.maps) == set(sample.available)
            for name, map in sample.maps.items():
                modality(name).check(map)
                assert len(map.data) == 5 and (name == "skeleton" or map.data.shape[1:3] == (16, 32))


def test_a_missing_modality_is_a_missing_key_and_the_rest_of_the_clip_is_told(build):
    samples = {sample.key: sample for batch in Loader(config(build, flip=0)).batches(0, 4) for sample in batch}
    assert len(samples) == 8
    assert set(samples["clip000"].maps) == set(MODALITIES)
    assert (
        set(samples["clip002"].maps) == {"densepose", "skeleton", "segmentation"} == set(samples["clip002"].available)
    )
    assert samples["clip002"].subjects == "two persons" and samples["clip000"].subjects == ""
    assert samples["clip003"].caption == "Clip 3." and samples["clip003"].group == "b"


def test_flips_mirror_frames_but_not_where_the_caption_says_left(build):
    for batch in Loader(config(build, flip=1)).batches(0, 4):
        for sample in batch:
            bright = sample.rgb.mean(axis=(0, 1, 3))
            assert sample.flipped == (sample.key != "clip001")
            assert (bright[2] > bright[-3]) == sample.flipped  # drawn with a bright right half


def test_validation_takes_the_middle_and_does_not_flip(tmp_path):
    build = write_build(tmp_path / "b", [clip(0, split="validation")])
    for batch in Loader(config(build, flip=1), split="validation").batches(0, 2):
        for sample in batch:
            assert not sample.flipped and sample.times_s[0] == pytest.approx(3 + 2 / FPS)


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_together_read_what_one_rank_reads(build, expected, world):
    parts = [read(Loader(config(build), rank=rank, world=world)) for rank in range(world)]
    assert [[one for part in batches for one in part] for batches in zip(*parts, strict=True)] == expected


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_read_what_one_process_reads(build, expected, workers):
    assert read(Loader(config(build, workers=workers))) == expected


def test_reading_on_from_a_saved_step_is_reading_through(build, expected):
    loader = Loader(config(build))
    first = read(loader, 0, 2)
    state = json.loads(json.dumps(loader.state(2)))
    again = Loader(config(build, workers=2), rank=0, world=1)
    assert first + read(again, again.resume(state)) == expected


def test_a_moved_build_is_the_same_data(build, expected, tmp_path):
    import shutil

    moved = shutil.copytree(build, tmp_path / "moved")
    loader = Loader(config(str(moved)))
    assert loader.resume(Loader(config(build)).state(1)) == 1
    assert read(loader) == expected


def test_resuming_on_other_data_or_settings_is_refused(build, tmp_path):
    state = Loader(config(build)).state(3)
    clips = [clip(number, "ab"[number % 2], modalities=tuple(MODALITIES)) for number in range(7)]
    other = write_build(tmp_path / "other", clips)
    with pytest.raises(BadInput, match=r"read other data \(8 clips then, 7 now\)"):
        Loader(config(other)).resume(state)
    with pytest.raises(BadInput, match=r"had other settings \(batch_size was 6, is 4; seed was 0, is 1\)"):
        Loader(config(build, batch_size=4, seed=1)).resume(state)


def test_a_choice_of_maps_reads_no_others(build):
    seen = []

    def choose(step, index, available):
        seen.append((step, index, tuple(available)))
        return available[:1]

    for sample in next(Loader(config(build), choose=choose).batches(0, 1)):
        assert list(sample.maps) == list(sample.available[:1]) and len(sample.available) > 1
        assert (0, sample.index, sample.available) in seen


def damage(build, tmp_path, keys):
    """A copy of the build in which the frames of some clips are overwritten."""
    import shutil

    import pyarrow.parquet as pq

    folder = Path(shutil.copytree(build, tmp_path / "damaged"))
    for row in pq.read_table(folder / "index.parquet").to_pylist():
        if row["key"] in keys:
            with (folder / row["rgb.shard"]).open("r+b") as file:
                file.seek(row["rgb.offset"] + row["rgb.size"] // 2)
                file.write(b"damage" * 20)
    return str(folder)


def test_a_damaged_clip_is_told_and_replaced_by_one_of_its_group(build, expected, tmp_path, caplog):
    loader = Loader(config(damage(build, tmp_path, {"clip002"})))
    batches = list(loader.batches(0, 4))
    whole = [sample for batch in expected for sample in batch]
    found = [sample for batch in batches for sample in batch]
    hit = [place for place, sample in enumerate(whole) if sample[2] == "clip002"]
    assert hit and loader.replaced == {"clip002": len(hit)}
    for place, sample in enumerate(found):
        if place in hit:
            assert sample.group == "a" and sample.key != "clip002"
            assert sample.replaced[0].key == "clip002" and "damaged" in sample.replaced[0].reason
        else:
            assert told(sample) == whole[place]
    assert "clip clip002 cannot be read (ValueError: " in caplog.text


def test_replacements_do_not_depend_on_workers(build, tmp_path):
    folder = damage(build, tmp_path, {"clip002", "clip004", "clip001"})
    assert read(Loader(config(folder))) == read(Loader(config(folder, workers=2)))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_group_of_which_nothing_can_be_read_stops_the_run_with_one_line(build, tmp_path, workers):
    folder = damage(build, tmp_path, {f"clip{number:03d}" for number in range(0, 8, 2)})
    with pytest.raises(RunFailed, match=r"4 clips of group 'a' in a row cannot be read at step 0") as error:
        read(Loader(config(folder, workers=workers)))
    assert "\n" not in str(error.value) and MAX_ATTEMPTS > 4


def test_a_shard_that_is_gone_is_a_clip_that_cannot_be_read(build, tmp_path):
    import shutil

    folder = Path(shutil.copytree(build, tmp_path / "gone"))
    (folder / "shards/depth.tar").unlink()
    loader = Loader(config(str(folder)))
    samples = [sample for batch in loader.batches(0, 4) for sample in batch]
    assert set(loader.replaced) == {"clip000", "clip003", "clip006"}
    assert all("depth" not in sample.available for sample in samples)


def test_a_remote_build_reads_as_a_local_one(build, expected):
    import fsspec

    memory = fsspec.filesystem("memory")
    for path in Path(build).rglob("*.*"):
        memory.pipe(f"/far/{path.relative_to(build).as_posix()}", path.read_bytes())
    assert read(Loader(config("memory://far"))) == expected


def test_a_batch_that_ranks_cannot_share_is_one_line(build):
    with pytest.raises(
        BadInput, match=r"loader.batch_size=6 cannot be split evenly over 4 ranks. Set it to a multiple"
    ):
        Loader(config(build), world=4)


def test_the_clips_own_size_is_read_without_scaling(build):
    (sample, *_) = next(Loader(config(build, flip=0)).batches(0, 1))
    assert sample.rgb.shape[1:3] == (HEIGHT, WIDTH)


def test_pinning_without_a_gpu_is_told(build, monkeypatch, caplog):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert len(next(Loader(config(build, pin=True)).batches(0, 1))) == BATCH
    assert "loader.pin has no effect: this machine has no GPU" in caplog.text


def test_annotating_anew_makes_other_data(build, tmp_path):
    import shutil

    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = Path(shutil.copytree(build, tmp_path / "anew"))
    (folder / "shards/depth.tar").rename(folder / "shards/depth2.tar")
    index = pq.read_table(folder / "index.parquet")
    place = index.column_names.index("depth.shard")
    pq.write_table(
        index.set_column(place, "depth.shard", pa.array(["shards/depth2.tar"] * len(index))), folder / "index.parquet"
    )
    with pytest.raises(BadInput, match="read other data"):
        Loader(config(str(folder))).resume(Loader(config(build)).state(1))


def test_a_real_frozen_scene_is_known_by_the_name_it_is_rendered_under():
    from openuni.benchmark.synth.frozen import OFFICIAL_SEED, official_scene
    from openuni.table import RENDERED, load

    is_frozen = load("renderer", RENDERED, "frozen")
    assert is_frozen(official_scene(7).name) and is_frozen(f"clips/{official_scene(7).name}/rgb.mp4")
    assert is_frozen(f"two_people-{OFFICIAL_SEED}-000001") and not is_frozen("two_people-0-000001")
