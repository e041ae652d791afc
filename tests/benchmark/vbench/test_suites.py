"""Suites vbench and vbench-clips: what they ask, of whom, and how an answer's frames are scored."""

import json

import numpy as np
import pytest

from openuni.benchmark.predictions import FRAMES, Prediction
from openuni.benchmark.suite import make_suite
from openuni.benchmark.suites.plain import Plain
from openuni.benchmark.vbench.aggregate import NOT_ASKED
from openuni.benchmark.vbench.dimensions import COMPUTED
from tests.annotators.tiny_experts import hide_caches
from tests.benchmark.rendered import render_tiny


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """No weights anywhere."""
    hide_caches(monkeypatch, tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VBENCH_CACHE_DIR", str(tmp_path / "vbench"))


def answer(frames=5, caption="a cat"):
    rgb = np.zeros((frames, 40, 56, 3), np.uint8)
    rgb[::2] = 51
    return Prediction(rgb=rgb, about={"fps": 8.0, "caption": caption, "files": {FRAMES: "0" * 64}})


def test_our_prompts_are_asked_as_plain_asks_them_so_that_both_share_answers():
    ours, plain = list(make_suite("vbench").items(None)), list(Plain().items(None))
    assert len(ours) == 100
    same = ("sample", "caption", "content", "pairs")
    assert [[getattr(one, name) for name in same] for one in ours] == [
        [getattr(one, name) for name in same] for one in plain
    ]


def test_an_answer_has_a_row_for_every_dimension_and_flickering_a_value_without_weights(tmp_path):
    scored = make_suite("vbench").score(tmp_path / "custom", "text", "rgb", answer())
    assert [one.metric for one in scored] == [f"vbench.{name}" for name in COMPUTED]
    by_name = {one.metric: one for one in scored}
    assert by_name["vbench.temporal_flickering"].value == pytest.approx(0.8)
    assert {one.flags for one in scored if one.value is None} == {("no_weights",)}


def test_the_official_list_asks_each_prompt_for_its_dimensions(tmp_path):
    path = tmp_path / "VBench_full_info.json"
    said = [
        {"prompt_en": "still", "dimension": ["temporal_flickering"]},
        {"prompt_en": "a cat", "dimension": ["subject_consistency"]},
        {"prompt_en": "red", "dimension": ["color"]},
        {"prompt_en": "red", "dimension": ["color"]},
    ]
    path.write_text(json.dumps(said))
    suite = make_suite("vbench")
    assert suite.refuses(path) == ""
    still, cat, red = suite.items(path)
    assert red.problem == "only_dimensions_that_are_not_computed_here" and not still.problem
    rows = {one.metric: one for one in suite.score(tmp_path / still.path, "text", "rgb", answer())}
    assert rows["vbench.static"].flags == ("no_weights",) and rows["vbench.temporal_flickering"].value is not None
    assert rows["vbench.subject_consistency"].flags == (NOT_ASKED,)
    other = {one.metric: one for one in suite.score(tmp_path / cat.path, "text", "rgb", answer())}
    assert list(other) == list(rows)  # the same rows in the same order for every sample
    assert other["vbench.temporal_flickering"].flags == other["vbench.static"].flags == (NOT_ASKED,)


def test_a_file_of_prompts_that_cannot_be_used_is_refused_in_one_line(tmp_path):
    (tmp_path / "p.json").write_text('[{"prompt_en": "a", "dimension": ["beauty"]}]')
    assert "'beauty', no dimension of VBench" in make_suite("vbench").refuses(tmp_path / "p.json")
    assert "not found" in make_suite("vbench").refuses(tmp_path / "none.txt")


def test_the_version_names_the_weights_so_that_later_ones_are_scored_anew(tmp_path, monkeypatch):
    before = make_suite("vbench").version
    assert before == "1 (differences-1)"
    (tmp_path / "vbench" / "amt_model").mkdir(parents=True)
    (tmp_path / "vbench" / "amt_model" / "amt-s.pth").write_bytes(b"weights")
    assert make_suite("vbench").version.startswith("1 (differences-1 amt-1-")


def test_clips_are_asked_with_their_true_map_and_jointly_and_only_where_named(tmp_path):
    data = render_tiny(tmp_path / "rendered")
    suite = make_suite("vbench-clips")
    assert suite.named_only and suite.refuses(data) == "" and suite.refuses(None)
    item = next(iter(suite.items(data)))
    assert {task for task, _ in item.pairs} == {"cond", "joint"}
    ask = suite.ask(data / item.path, "cond", "flow")
    assert ask.map.data.shape == (ask.num_frames, ask.height, ask.width, 2) and ask.rgb is None
    assert suite.ask(data / item.path, "joint", "flow").map is None
    assert len(suite.score(data / item.path, "joint", "flow", answer())) == len(COMPUTED)
