"""openuni bench --videos: a folder's run with records and results, resumed, and with every kind of bad input."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from openuni.benchmark.paper_tables import paper_table
from openuni.benchmark.records import read_records
from openuni.benchmark.report.page import write_report
from openuni.benchmark.runs import Named, read_run
from openuni.benchmark.vbench import videos
from openuni.benchmark.vbench.frames import read_video
from openuni.benchmark.vbench.videos import VideosConfig, score_videos
from openuni.cli import app
from openuni.engine.local import LocalEngine
from openuni.engine.monitor import Breaker
from openuni.errors import BadInput, RunFailed
from tests.annotators.tiny_experts import hide_caches
from tests.benchmark.vbench.seeded import write_cache

GOLDEN = Path(__file__).parents[2] / "golden" / "vbench"
NUMBERS = json.loads((GOLDEN / "numbers.json").read_text())


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """No weights anywhere."""
    hide_caches(monkeypatch, tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VBENCH_CACHE_DIR", str(tmp_path / "vbench"))


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "clips"
    made.mkdir()
    for name in "ab":
        shutil.copy(GOLDEN / f"{name}.mp4", made / f"{name}-0.mp4")
    return made


def run(folder, out, **options):
    config = VideosConfig(videos=folder, out=out, **options)
    return score_videos(config, LocalEngine(0), breaker=Breaker(), quiet=True)


def test_without_weights_flickering_is_vbenchs_and_the_rest_is_na(folder, tmp_path):
    scored = run(folder, tmp_path / "out")
    flickering = {one.sample[0]: one.value for one in scored.records if one.metric == "vbench.temporal_flickering"}
    expected = {name: NUMBERS["clips"]["temporal_flickering"][name] for name in "ab"}
    assert flickering == pytest.approx(expected, abs=1e-6)
    assert {one.flags for one in scored.records if one.value is None} == {"no_weights"}
    assert set(scored.missing) == set(NUMBERS["suite"]) - {"temporal_flickering"}
    assert scored.scores["quality"] is None
    assert read_records(scored.out / "records.parquet") == scored.records
    about = read_run(scored.out).about
    assert about["vbench"][0]["dimensions"]["temporal_flickering"]["percent"] == pytest.approx(
        100 * np.mean(list(expected.values())), abs=1e-4
    )
    assert about["metrics"]["vbench.temporal_flickering"] == {"unit": "1", "higher_is_better": True}


def test_weights_that_come_later_fill_only_what_was_missing(folder, tmp_path, monkeypatch):
    run(folder, tmp_path / "out", limit=1)
    shapes = {name: NUMBERS["shapes"][name] for name in ("dino", "musiq")}
    write_cache(tmp_path / "vbench", shapes, GOLDEN / "recipe.py")
    seen = []
    monkeypatch.setattr(videos, "read_video", lambda path: seen.append(path.name) or read_video(path))
    scored = run(folder, tmp_path / "out", limit=1)
    found = {one.metric: one.value for one in scored.records}
    for name in ("subject_consistency", "imaging_quality"):
        scale = 100 if name == "imaging_quality" else 1
        assert scale * found[f"vbench.{name}"] == pytest.approx(NUMBERS["clips"][name]["a"], abs=1e-4)
    assert seen == ["a-0.mp4"]
    run(folder, tmp_path / "out", limit=1)
    assert seen == ["a-0.mp4"]  # resumed: nothing is done again


def write_gif(path, frames=3):
    pictures = [Image.fromarray(np.full((41, 31, 3), 50 * number, np.uint8)) for number in range(frames)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100, loop=0)


def one_frame(path):
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in (av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24"), None):
            for packet in stream.encode(frame):
                file.mux(packet)


def test_bad_clips_are_counted_rows_and_the_others_are_scored(folder, tmp_path):
    one_frame(folder / "one.mp4")
    write_gif(folder / "moving.gif")
    (folder / "text.mp4").write_text("no video")
    scored = run(folder, tmp_path / "out", prompts=None)
    assert scored.statuses["ok"] == 4 and scored.statuses.total() == 5
    (why,) = [one for one in scored.statuses if one != "ok"]
    assert "text.mp4 has no frame that can be decoded" in why
    flickering = {one.sample: one for one in scored.records if one.metric == "vbench.temporal_flickering"}
    assert flickering["one.mp4"].flags == "one_frame" and flickering["text.mp4"].flags.startswith("error:")
    assert flickering["moving.gif"].value == pytest.approx((255 - 50) / 255, abs=0.02)  # GIF's palette
    assert scored.scores["dimensions"]["temporal_flickering"]["clips"] == 3


def test_short_and_small_clips_say_why_each_dimension_has_no_value(folder, tmp_path):
    shapes = {name: NUMBERS["shapes"][name] for name in ("dino", "clip", "musiq", "raft", "amt")}
    write_cache(tmp_path / "vbench", shapes, GOLDEN / "recipe.py")
    for path in folder.iterdir():
        path.unlink()
    one_frame(folder / "one.mp4")
    write_gif(folder / "small.gif")
    config = VideosConfig(videos=folder, out=tmp_path / "out")
    scored = score_videos(config, LocalEngine(0), breaker=Breaker(), quiet=True)
    flags = {(one.sample, one.metric.partition(".")[2]): one.flags for one in scored.records}
    assert flags["one.mp4", "subject_consistency"] == flags["one.mp4", "background_consistency"] == "one_frame"
    assert flags["one.mp4", "motion_smoothness"] == "fewer_than_3_frames"
    assert flags["small.gif", "motion_smoothness"] == flags["small.gif", "dynamic_degree"] == "smaller_than_128_px"
    assert flags["one.mp4", "overall_consistency"] == "no_weights"
    values = {(one.sample, one.metric.partition(".")[2]): one.value for one in scored.records}
    assert values["one.mp4", "imaging_quality"] is not None and values["small.gif", "subject_consistency"] is not None


def test_a_weight_file_of_another_network_is_an_error_that_names_it(folder, tmp_path):
    write_cache(tmp_path / "vbench", {"dino": NUMBERS["shapes"]["musiq"]}, GOLDEN / "recipe.py")
    with pytest.raises(RunFailed, match="another network than DINO"):
        run(folder, tmp_path / "out")


def test_no_video_that_can_be_decoded_fails_the_run_with_the_reason(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(RunFailed, match=r"None of 1 videos could be scored.*no frame that can be decoded"):
        run(tmp_path, tmp_path / "out")


def test_another_folder_may_not_be_scored_into_the_same_output(folder, tmp_path):
    run(folder, tmp_path / "out", limit=1)
    other = shutil.copytree(folder, tmp_path / "other")
    with pytest.raises(BadInput, match="Choose another --out"):
        run(other, tmp_path / "out", limit=1)


def test_results_files_that_disagree_are_refused(folder, tmp_path):
    for number, value in enumerate((0.5, 0.6)):
        (tmp_path / f"{number}.json").write_text(json.dumps({"scene": [value, []]}))
    with pytest.raises(BadInput, match=r"scene is 0\.6 here and 0\.5 in another file"):
        run(folder, tmp_path / "out", results=(tmp_path / "0.json", tmp_path / "1.json"))


def test_the_command_prints_scores_what_is_missing_and_what_does_not_match(folder, tmp_path):
    prompts = tmp_path / "prompts.json"
    prompts.write_text(json.dumps({"a-0.mp4": "a", "gone.mp4": "b"}))
    results = tmp_path / "r.json"
    results.write_text(json.dumps({"scene": [0.512, []]}))
    arguments = ["bench", "--videos", str(folder), "--suite", "vbench", "--prompts", str(prompts), "--out"]
    arguments += [str(tmp_path / "out"), "--vbench-results", str(results), "--ray", "off"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "clips: 2 of 2 videos scored" in done.output
    assert "temporal_flickering" in done.output and "51.20  VBench's own result" in done.output
    assert "n/a  motion_smoothness: Weights of amt-s" in done.output
    assert "1 videos without a prompt" in done.output and "1 prompts without a video" in done.output
    assert "total score (normalised)  n/a" in done.output


def test_the_report_shows_best_and_worst_videos_of_each_dimension_and_table_one_has_a_row(folder, tmp_path):
    scored = run(folder, tmp_path / "out")
    page = write_report(read_run(scored.out), clips=1).read_text("utf-8")
    assert "rgb, task text: temporal flickering</h2>" in page and "rgb, task text: motion smoothness</h2>" in page
    best, worst = page.index("Best by vbench.temporal_flickering"), page.index("Worst by vbench.temporal_flickering")
    values = NUMBERS["clips"]["temporal_flickering"]
    first, second = ("a-0.mp4", "b-0.mp4") if values["a"] > values["b"] else ("b-0.mp4", "a-0.mp4")
    assert best < page.index(f">{first}<", best) < worst < page.index(f">{second}<", worst)
    assert page.count("data:video/mp4;base64") == 2 and "cannot be read" not in page
    (row,) = [row for row in table3(read_run(scored.out)) if row.ours]
    assert row.cells[0].text == "clips (text to video), on clips"
    assert row.cells[3].text.startswith(f"{50 * (values['a'] + values['b']):.2f}")
    assert row.cells[1].text == "n/a" and "no weights" in row.cells[1].notes[0]


def table3(read):
    return paper_table(3, [Named(name=read.name, run=read)]).rows


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--suite", "unibench-est"], "--videos is scored by vbench alone"),
        (["--model", "ckpt"], "--videos"),
        (["--samples", "2"], "only --model takes that"),
    ],
)
def test_options_that_do_not_go_with_videos_are_refused(folder, more, message):
    done = CliRunner().invoke(app, ["bench", "--videos", str(folder), *more])
    assert done.exit_code != 0
    assert message in str(done.exception or done.output)
