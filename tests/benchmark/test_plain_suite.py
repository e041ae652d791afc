"""Suite plain and suites of prompts in a bench: what is asked, at which size, and what becomes of odd clips."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from openuni.benchmark.model_bench import ModelBenchConfig, bench_model
from openuni.benchmark.suites.plain import Plain
from openuni.cli import app
from openuni.engine.local import LocalEngine
from openuni.engine.monitor import Breaker
from openuni.engine.stage import Absent
from openuni.errors import BadInput
from openuni.generator import Answer, Size
from openuni.video import encode_rgb_lossless
from tests.benchmark.rendered import render_tiny

WRITER = "tests.benchmark.test_plain_suite:Writer"
ASKED = []


@dataclass
class Writer:
    """Answers text with a coloured square that moves over stripes; as many frames as it is told."""

    frames: int = 8
    free: bool = False

    name = "writer"

    def fingerprint(self):
        return f"writer {self.frames}"

    def capabilities(self):
        return (("text", "rgb"),)

    def size(self):
        return None if self.free else Size(self.frames, 64, 96, 8.0)

    def describe(self):
        return {}

    def setup(self):
        pass

    def __call__(self, ask):
        ASKED.append(ask)
        return Answer(rgb=moving_square(8 if self.free else ask.num_frames, 64, 96))


def moving_square(frames, height, width, *, square=(200, 30, 30)):
    rng = np.random.default_rng(1)
    wall = np.repeat(np.repeat(rng.integers(0, 120, (height // 4, width // 4, 3), np.uint8), 4, 0), 4, 1)
    clip = np.tile(wall, (frames, 1, 1, 1))
    for t in range(frames):
        x = 6 + 3 * t
        clip[t, 20:44, x : x + 24] = square
        clip[t, 24:30, x + 4 : x + 12] = (250, 250, 80)
    return clip


def run(out, model=WRITER, **changes):
    config = ModelBenchConfig(model=model, out=out, **{"suites": ("plain",), "limit": 3, **changes})
    return bench_model(config, LocalEngine(0), breaker=Breaker(), quiet=True)


def scores(rgb):
    suite = Plain()
    suite.setup()
    return {one.metric.removeprefix("plain."): one for one in suite.score_frames(rgb)}


def test_five_answers_to_each_prompt_at_the_models_size_are_scored_without_any_data(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.benchmark.test_plain_suite.ASKED", ASKED)
    ASKED.clear()
    done = run(tmp_path / "out")
    assert done.statuses == {("plain", "text", "rgb"): Counter({"ok": 15})}
    assert done.labels == {"plain": "3 prompts of our own"}
    assert {(one.num_frames, one.height, one.width, one.fps, one.any_size) for one in ASKED} == {(8, 64, 96, 8.0, True)}
    assert len({one.seed for one in ASKED}) == 15 and {one.number for one in ASKED} == set(range(5))
    assert ASKED[0].caption.startswith("A woman pours tea")
    assert {one.protocol for one in done.records} == {"plain"}
    assert {one.family for one in done.records} == {"people", "objects", "physics"}
    assert {one.cluster for one in done.records} == {one.sample for one in done.records}
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    assert told["metrics"]["plain.motion"]["higher_is_better"] is None and told["data"]["folder"] == ""
    lines = {one["metric"]: one for one in told["results"]}
    assert lines["plain.flicker"]["clusters"] == 3 and lines["plain.flicker"]["higher_is_better"] is False


def test_a_model_of_any_size_may_answer_a_prompt_at_its_own(tmp_path):
    done = run(tmp_path / "out", settings={"free": "true"}, samples=1)
    assert done.statuses["plain", "text", "rgb"] == {"ok": 3}
    about = json.loads(next((tmp_path / "out").glob("predictions/text-rgb/*/seed-0/about.json")).read_text())
    assert (about["num_frames"], about["height"], about["width"]) == (8, 64, 96)


def test_prompts_of_a_file_videos_of_a_folder_and_the_layout_fit_together(tmp_path):
    (tmp_path / "mine.txt").write_text("a cat\na dog\n")
    printed = CliRunner().invoke(app, ["bench", "layout", "--suite", "plain", "--prompts", str(tmp_path / "mine.txt")])
    names = [line.strip() for line in printed.output.splitlines() if line.startswith("    text-rgb/")]
    assert [name.rpartition("-")[0] for name in names] == ["text-rgb/a-cat", "text-rgb/a-dog"]
    for name in names:
        path = Path(tmp_path, "preds", name).with_suffix(".mkv")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_rgb_lossless(moving_square(6, 64, 96)))
    preds = f"preds:{tmp_path / 'preds'}"
    done = run(tmp_path / "out", preds, prompts=tmp_path / "mine.txt", samples=1)
    assert done.statuses["plain", "text", "rgb"] == {"ok": 2} and done.labels["plain"] == "2 prompts of mine.txt"
    checked = ["bench", "layout", str(tmp_path / "preds"), "--suite", "plain", "--samples", "1"]
    mine = CliRunner().invoke(app, [*checked, "--prompts", str(tmp_path / "mine.txt")])
    assert mine.exit_code == 0 and "2 of 2 predictions are in order" in mine.output
    ours = CliRunner().invoke(app, checked)
    assert ours.exit_code == 1 and "100 missing, 2 extra" in ours.output
    with pytest.raises(BadInput, match="No suite|not found"):
        run(tmp_path / "none", prompts=tmp_path / "none.txt")


def test_suites_of_prompts_run_only_where_they_are_named_wanted_or_there_are_no_clips(tmp_path):
    rendered = render_tiny(tmp_path / "rendered")
    model, root = "tests.benchmark.generators:Truth", {"root": str(rendered)}
    clips = run(tmp_path / "clips", model, data=rendered, suites=(), settings=root, limit=1)
    assert {suite for suite, *_ in clips.statuses} == {"unibench-est", "unibench-gen"}
    wanted = {"prompted": True, "prompt_limit": 2}
    both = run(tmp_path / "both", model, data=rendered, suites=(), settings=root, limit=1, **wanted)
    counts = {key: counts.total() for key, counts in both.statuses.items()}
    assert counts["plain", "text", "rgb"] == 10 and counts["unibench-est", "est", "depth"] == 1
    assert both.labels["unibench-est"] == both.labels["unibench-gen"] == "rendered"
    assert both.labels["plain"] == "2 prompts of our own"


def test_a_clip_of_one_frame_is_a_counted_row(tmp_path):
    done = run(tmp_path / "out", settings={"frames": "1"}, samples=1)
    assert done.statuses["plain", "text", "rgb"] == {"absent: too_short": 3}
    with pytest.raises(Absent, match="too_short"):
        scores(moving_square(1, 64, 96))


def test_the_subject_is_found_and_told_from_one_that_changes_its_colour():
    clip = moving_square(12, 96, 128)
    other = clip.copy()
    changed = moving_square(12, 96, 128, square=(20, 220, 60))
    other[6:] = changed[6:]
    same, turned = scores(clip), scores(other)
    assert same["subject"].value > 0.8 and same["background"].value > 0.97
    assert turned["subject"].value < same["subject"].value - 0.1
    assert turned["background"].value == pytest.approx(same["background"].value, abs=0.02)


def test_a_still_clip_is_perfect_and_says_that_nothing_moves():
    found = scores(np.repeat(moving_square(1, 96, 128), 6, axis=0))
    assert found["flicker"].value == 0 and found["motion"].value < 0.01 and found["smoothness"].value > 0.999
    assert found["subject"].value is None and found["subject"].flags == ("no_subject:nothing_moves",)
    assert found["background"].value == pytest.approx(1) and found["background"].flags == ("nothing_moves:whole_frame",)


def test_a_flickering_clip_flickers_and_a_wobbling_one_is_less_smooth_than_a_shifting_one():
    still = np.repeat(moving_square(1, 96, 128), 8, axis=0)
    lamp = still.copy()
    lamp[1::2] = (lamp[1::2] * 0.8).astype(np.uint8)
    assert scores(lamp)["frame_flicker"].value > 1 > scores(still)["frame_flicker"].value
    shifting = np.stack([np.roll(still[0], 2 * t, axis=1) for t in range(8)])[:, :, 16:]
    rows = np.arange(96)
    wobbling = np.stack(
        [np.stack([np.roll(still[0, y], round(3 * np.sin(y / 5 + 2 * t)), axis=0) for y in rows]) for t in range(8)]
    )[:, :, 8:-8]
    assert scores(wobbling)["smoothness"].value < scores(shifting)["smoothness"].value - 0.05
