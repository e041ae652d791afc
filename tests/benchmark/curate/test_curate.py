"""openuni unibench curate: a real build frozen, read back bit for bit, the same bytes again, damage counted."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from openuni.benchmark.curate.frozen_set import read_manifest, read_sample, samples_of
from openuni.benchmark.curate.job import CurateConfig, curate
from openuni.cli import app
from openuni.engine.local import LocalEngine
from openuni.engine.monitor import Breaker
from openuni.errors import BadInput, RunFailed
from openuni.pipelines.build import Build, BuildConfig, build
from openuni.pipelines.scored_index import scored_index
from openuni.sample import SampleReader
from tests.benchmark.rendered import render_tiny


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("curate")
    rendered = render_tiny(folder / "rendered")
    config = BuildConfig(
        source="synthetic", root=str(rendered), out=folder / "build", experts=("truth",), filters=("luminance",)
    )
    build(Build.prepare(config), LocalEngine(0), breaker=Breaker(), quiet=True)
    return folder / "build"


def freeze(built, out, **changes):
    return curate(CurateConfig(**{"build": built, "out": out, "clips": 2, "split": "all", **changes}))


@pytest.fixture(scope="module")
def frozen(built, tmp_path_factory):
    return freeze(built, tmp_path_factory.mktemp("frozen") / "set")


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_frozen_sample_is_the_builds_sample_bit_for_bit(built, frozen):
    reader = SampleReader(built)
    names = [name for name, _, _, problem in samples_of(frozen.out) if not problem]
    assert sorted(names) == sorted(reader.index["key"].to_pylist())
    for name in names:
        there, here = reader[reader.find(name)], read_sample(frozen.out / "samples" / name)
        assert np.array_equal(there.rgb.data, here.rgb) and here.about["caption"] == there.caption != ""
        assert set(here.maps) == set(there.maps) and set(here.about["absent"]) == set(there.absent)
        for modality, map in there.maps.items():
            assert np.array_equal(map.data, here.maps[modality].data) and map.facts == here.maps[modality].facts
            assert here.about["modalities"][modality]["expert"] == f"truth-{modality}"


def test_every_object_has_a_phrase_of_its_own_and_a_first_mask(frozen):
    for name, _, about, _ in samples_of(frozen.out):
        folder = frozen.out / "samples" / name
        masks = read_sample(folder, ["segmentation"]).maps["segmentation"].data
        objects = about["objects"]
        assert [one["id"] for one in objects] == [int(one) for one in np.unique(masks) if one] != []
        assert len({one["expression"] for one in objects}) == len(objects)
        for one in objects:
            given = np.asarray(Image.open(folder / "masks" / f"{one['first_frame']:05d}.png"))
            assert np.array_equal(given == one["id"], masks[one["first_frame"]] == one["id"])
            areas = (masks == one["id"]).sum(axis=(1, 2))
            assert not (areas[: one["first_frame"]] >= np.median(areas[areas > 0]) / 4).any()


def test_another_run_elsewhere_gives_the_same_bytes_and_the_same_run_changes_none(built, frozen, tmp_path):
    other = freeze(built, tmp_path / "set")
    here, there = contents(frozen.out), contents(other.out)
    assert set(here) == set(there) and {name for name in here if here[name] != there[name]} <= {"run.json"}  # has times
    times = {path: path.stat().st_mtime_ns for path in (frozen.out / "samples").rglob("*")}
    freeze(built, frozen.out)
    assert contents(frozen.out) == here
    assert {path: path.stat().st_mtime_ns for path in (frozen.out / "samples").rglob("*")} == times


def test_a_frozen_set_is_not_changed_into_another_one(built, frozen):
    with pytest.raises(BadInput, match="holds another unibench-generation set.*Choose another --out"):
        freeze(built, frozen.out, clips=1)


def test_filters_scores_stand_beside_the_index_and_can_be_ruled_over(built, tmp_path):
    table = scored_index(built)
    assert "luminance.mean" in table.column_names and table.num_rows == 2
    low, high = sorted(table["luminance.mean"].to_pylist())
    done = freeze(built, tmp_path / "set", clips=1, rules=(f"luminance.mean > {(low + high) / 2}",))
    (sample,) = read_manifest(done.out)["samples"]
    chosen = table["key"].to_pylist().index(sample["sample"])
    assert table["luminance.mean"][chosen].as_py() == high


def test_too_few_clips_are_said_with_what_each_rule_left(built, tmp_path):
    with pytest.raises(BadInput, match="2 clips are left of the 3 asked for .*depth.present: 2 -> 2"):
        freeze(built, tmp_path / "set", clips=3, require=("depth",))


def damage(built, folder, clips):
    """A copy of a build in which the depth of so many clips cannot be read."""
    shutil.copytree(built, folder)
    table = scored_index(folder)
    for row in table.slice(0, clips).to_pylist():
        path = folder / row["depth.shard"]
        content = bytearray(path.read_bytes())
        content[row["depth.offset"] : row["depth.offset"] + 100] = bytes(100)
        path.write_bytes(content)
    return folder


def test_a_damaged_clip_is_counted_and_another_takes_its_place(built, tmp_path):
    broken = damage(built, tmp_path / "broken", 1)
    done = freeze(broken, tmp_path / "set", clips=1)
    first = freeze(broken, tmp_path / "again", clips=1)
    assert done.samples == 1 and contents(done.out / "samples") == contents(first.out / "samples")
    bad = scored_index(broken)["key"][0].as_py()
    assert read_manifest(done.out)["samples"][0]["sample"] != bad
    with pytest.raises(RunFailed, match="1 of 2 clips could be frozen. Commonest reason: ValueError"):
        freeze(broken, tmp_path / "both", clips=2)


def test_a_changed_file_is_found_when_it_is_read(frozen, tmp_path):
    shutil.copytree(frozen.out, tmp_path / "set")
    name = next(samples_of(tmp_path / "set"))[0]
    path = tmp_path / "set" / "samples" / name / "clip.depth.mkv"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(BadInput, match="clip.depth.mkv is not the file that was frozen"):
        read_sample(path.parent)
    path.unlink()
    about = path.parent / "sample.json"
    assert next(samples_of(tmp_path / "set"))[3] == "file_missing"
    about.write_text(about.read_text().replace("caption", "Caption"))
    assert next(samples_of(tmp_path / "set"))[3] == "sample_json_changed"


def test_a_folder_that_is_no_set_or_of_another_schema_is_refused(tmp_path):
    with pytest.raises(BadInput, match="is no curated set"):
        read_manifest(tmp_path)
    told = {"kind": "unibench-generation", "schema": 99, "samples": []}
    (tmp_path / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(BadInput, match="schema 99, expected"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text(
        json.dumps({**told, "schema": 1, "samples": [{"sample": "../x", "sha256": ""}]})
    )
    with pytest.raises(BadInput, match="no names of folders"):
        read_manifest(tmp_path)


def test_the_command_prints_rules_cells_and_the_hash(built, tmp_path):
    found = CliRunner().invoke(
        app, ["unibench", "curate", str(built), "--out", str(tmp_path / "set"), "--clips", "2", "--split", "all",
              "--require", "segmentation"],
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    digest = read_manifest(tmp_path / "set")["sha256"]
    assert "2 ->       2  segmentation.present" in found.output and digest[:16] in found.output
    assert "froze 2 clips" in found.output and "objects" in found.output
