"""Streaming a build through webdataset: the same samples as by place, each once over ranks and workers."""

import os
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from openuni.cli import app
from openuni.errors import BadInput
from openuni.sample import SampleReader
from openuni.stream import stream
from tests.pipelines.conftest import clips_folder  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def built(clips_folder, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("stream")
    (folder / "clips").mkdir()
    for name in ("good_0", "good_1"):
        shutil.copy(clips_folder / f"{name}.mp4", folder / "clips")
        shutil.copy(clips_folder / f"{name}.mp4", folder / "clips" / f"{name}_again.mp4")
    with pytest.MonkeyPatch.context() as patch:
        from openuni.engine.local import LocalEngine

        patch.setattr("openuni.engine.run.choose_engine", lambda *args, **kwargs: LocalEngine(0))
        words = ["build", "--source", "folder", "--root", str(folder / "clips"), "--out", str(folder / "out")]
        words += ["--preset", "none", "--filters", "duration", "--experts", "flow-dis", "--unit-size", "2"]
        done = CliRunner().invoke(app, [*words, "--set", "frames.num_frames=4"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return folder / "out"


def test_samples_are_those_read_by_place_in_the_indexs_order(built):
    reader = SampleReader(built)
    streamed = list(stream(built))
    assert [one.key for one in streamed] == reader.index["key"].to_pylist() and len(streamed) == 4
    for ours, theirs in zip(streamed, (reader[number] for number in range(len(reader))), strict=True):
        assert ours.caption == theirs.caption and ours.facts == theirs.facts and ours.absent == theirs.absent
        assert np.array_equal(ours.rgb.data, theirs.rgb.data)
        assert np.array_equal(ours.maps["flow"].data, theirs.maps["flow"].data)
        assert np.array_equal(ours.maps["flow"].valid, theirs.maps["flow"].valid)


def test_ranks_read_each_sample_once(built, monkeypatch):
    keys = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        keys.append([one.key for one in stream(built, [])])
    assert all(len(some) == 2 for some in keys)
    assert sorted(keys[0] + keys[1]) == sorted(SampleReader(built).index["key"].to_pylist())
    assert "RANK" in os.environ


def test_shuffling_keeps_every_sample_and_modalities_are_chosen(built):
    shuffled = list(stream(built, ["flow"], shuffle=4, seed=3))
    assert sorted(one.key for one in shuffled) == sorted(SampleReader(built).index["key"].to_pylist())
    assert all(not one.maps for one in stream(built, []))


def test_a_split_without_samples_is_a_clear_line(built):
    with pytest.raises(BadInput, match="has no sample of split 'nothing'"):
        stream(built, split="nothing")
