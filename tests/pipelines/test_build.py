"""The build through its command line: from mp4 files to an index whose every offset is right."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from openuni.dataset import OpenUniDataset
from openuni.engine.atomic import sha256_of
from openuni.errors import BadInput
from openuni.sample import SampleReader
from openuni.shard import Span, read_sample
from tests.pipelines.conftest import FPS, sliding_texture

EASY = ("--preset", "none", "--experts", "flow-dis", "--ray", "off", "--workers", "1")


def openuni(*words, cwd=None, **environment):
    command = [sys.executable, "-m", "openuni.cli", *map(str, words)]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200", **environment}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=110)


@pytest.fixture(scope="module")
def built(clips_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "out"
    done = openuni("build", "--source", "folder", "--root", clips_folder, "--out", out, *EASY)
    assert done.returncode == 0, done.stderr
    return out, done


def index(out: Path) -> list[dict]:
    return pq.read_table(out / "index.parquet").to_pylist()


def hashes(out: Path) -> dict[str, str]:
    return {path.relative_to(out).as_posix(): sha256_of(path) for path in sorted(out.glob("shards/**/*.tar"))}


def mtimes(out: Path, pattern: str) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in out.glob(pattern)}


def test_a_build_prints_what_it_did_and_where_it_is(built):
    out, done = built
    assert "listed    6 clips" in done.stdout
    assert "selected  4 clips" in done.stdout
    assert "against: not_a_video" in done.stdout
    assert "flow               4 samples" in done.stdout
    assert "wrote 8 shards (4 clips, 0.00 h, " in done.stdout and str(out) in done.stdout


def test_progress_goes_to_stderr_and_results_to_stdout(built):
    _, done = built
    assert "annotate" in done.stderr and "annotate" not in done.stdout


def test_the_index_has_the_good_clips_with_caption_split_and_sizes(built):
    rows = index(built[0])
    assert sorted(row["source_key"] for row in rows) == [f"good_{seed}.mp4" for seed in range(4)]
    captions = {row["source_key"]: row["caption"] for row in rows}
    assert captions["good_0.mp4"] == "A texture slides to the right." and captions["good_1.mp4"] == ""
    assert {row["split"] for row in rows} <= {"train", "validation"}
    assert {(row["rgb.num_frames"], row["rgb.fps"], row["rgb.width_px"]) for row in rows} == {(17.0, FPS, 128.0)}


def test_offsets_in_the_index_give_the_bytes_of_the_tar(built):
    import tarfile

    out, _ = built
    for row in index(out):
        for modality in ("rgb", "flow"):
            members = read_sample(
                out / row[f"{modality}.shard"], Span(row[f"{modality}.offset"], row[f"{modality}.size"])
            )
            with tarfile.open(out / row[f"{modality}.shard"]) as tar:
                for name, content in members.items():
                    assert tar.extractfile(f"{row['key']}.{name}").read() == content


def test_webdataset_joins_the_modalities_by_key_without_name_clashes(built):
    webdataset = pytest.importorskip("webdataset")
    out, _ = built
    rows = index(out)
    shards = {modality: sorted({row[f"{modality}.shard"] for row in rows}) for modality in ("rgb", "flow")}
    for rgb, flow in zip(shards["rgb"], shards["flow"], strict=True):
        pair = [list(webdataset.WebDataset(str(out / path), shardshuffle=False)) for path in (rgb, flow)]
        assert [sample["__key__"] for sample in pair[0]] == [sample["__key__"] for sample in pair[1]]
        for one, other in zip(*pair, strict=True):
            shared = set(one) & set(other)
            assert all(name.startswith("__") for name in shared)


def test_the_manifest_names_every_shard_with_its_hash(built):
    out, _ = built
    manifest = json.loads((out / "manifest.json").read_text())
    listed = {shard["path"]: shard["sha256"] for shards in manifest["shards"].values() for shard in shards}
    assert listed == hashes(out)
    flow = next(stage for stage in manifest["passes"]["annotate"] if stage["name"] == "flow")
    assert flow["expert"] == "flow-dis"


def test_run_json_and_events_say_what_was_run(built):
    out, _ = built
    about = json.loads((out / "run.json").read_text())
    assert about["config"]["source"] == "folder" and about["versions"]["openuni"]
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events if event["event"] != "unit"] == [
        "listed", "pass", "pass_end", "selected", "pass", "pass_end", "finished",
    ]  # fmt: skip


def test_the_stored_frames_are_the_videos_and_the_flow_is_its_motion(built):
    reader = SampleReader(built[0], ["flow"])
    for number in range(len(reader)):
        sample = reader[number]
        seed = int(sample.facts["source_key"][5])
        # H.264 twice: once in the test's clip, once in the shard.
        assert np.abs(sample.rgb.data.astype(int) - sliding_texture(seed)).mean() < 4
        flow = sample.maps["flow"]
        assert not flow.valid[-1].any()
        right = flow.data[..., 0][flow.valid]
        assert abs(np.median(right) - 2.0) < 0.25  # px per frame; DIS on a smooth texture, stored in 1/16 px


def test_the_dataset_gives_tensors_and_a_missing_modality_is_a_missing_key(built):
    torch = pytest.importorskip("torch")
    out, _ = built
    dataset = OpenUniDataset(out)
    item = dataset[0]
    assert item["rgb"].shape == (17, 96, 128, 3) and item["rgb"].dtype == torch.uint8
    assert item["flow"].shape == (17, 96, 128, 2) and item["flow.valid"].dtype == torch.bool
    assert item["times_s"].tolist() == pytest.approx([number / FPS for number in range(17)], abs=1e-3)
    assert set(OpenUniDataset(out, [])[0]) == {"key", "caption", "rgb", "times_s"}
    loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2)
    assert sorted(item["key"] for item in loader) == sorted(row["key"] for row in index(out))
    with pytest.raises(BadInput, match="has no modality 'depht'"):
        OpenUniDataset(out, ["depht"])


def test_decord_reads_the_same_frames_a_little_darker(built):
    pytest.importorskip("decord")
    out, _ = built
    exact, cheap = SampleReader(out, [])[0], SampleReader(out, [], decoder="decord")[0]
    assert cheap.rgb.data.shape == exact.rgb.data.shape and cheap.rgb.facts == exact.rgb.facts
    difference = exact.rgb.data.astype(int) - cheap.rgb.data
    # Another frame would differ by tens of levels; decord's conversion by one or two.
    assert np.abs(difference).mean() < 2.5
    with pytest.raises(BadInput, match="Unknown decoder 'decrod'. Did you mean 'decord'"):
        SampleReader(out, [], decoder="decrod")


def test_an_interrupted_build_says_how_to_go_on(clips_folder, tmp_path):
    import signal
    import time

    out = tmp_path / "out"
    words = ["build", "--source", "folder", "--root", clips_folder, "--out", out, *EASY]
    command = [sys.executable, "-m", "openuni.cli", *map(str, words)]
    # A test run in the background ignores Ctrl-C, and its children inherit that.
    heed = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    build = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **heed)
    deadline = time.monotonic() + 60
    while not (out / "plan" / "score").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    build.send_signal(signal.SIGINT)
    _, errors = build.communicate(timeout=60)
    assert build.returncode == 130
    assert "error: interrupted. What is committed is kept; run the same command again to go on." in errors
    assert "Traceback" not in errors
    done = openuni(*words)
    assert done.returncode == 0 and "flow               4 samples" in done.stdout


def test_running_the_same_command_again_changes_no_file_but_the_index(built, clips_folder):
    out, _ = built
    before = mtimes(out, "ledger/**/*.parquet") | mtimes(out, "shards/**/*.tar") | mtimes(out, "plan/**/*.parquet")
    done = openuni("build", "--source", "folder", "--root", clips_folder, "--out", out, *EASY)
    assert done.returncode == 0, done.stderr
    after = mtimes(out, "ledger/**/*.parquet") | mtimes(out, "shards/**/*.tar") | mtimes(out, "plan/**/*.parquet")
    assert before == after


def test_a_changed_rule_touches_no_tar_and_a_changed_parameter_reruns_its_stage_only(built, clips_folder, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(built[0], out)
    before = mtimes(out, "shards/**/*.tar")
    base = ("build", "--source", "folder", "--root", clips_folder, "--out", out, *EASY)
    done = openuni(*base, "--rule", "duration.seconds > 100")
    assert done.returncode == 0 and "selected  0 clips" in done.stdout
    assert "No clip passes the rules" in done.stderr
    assert mtimes(out, "shards/**/*.tar") == before and index(out) == []
    done = openuni(*base, "--set", _flow_set())
    assert done.returncode == 0, done.stderr
    after = mtimes(out, "shards/**/*.tar")
    assert before.items() <= after.items()
    assert {path.parts[-3] for path in after.keys() - before.keys()} == {"flow"}
    assert len(index(out)) == 4


def _flow_set() -> str:
    """Return a setting that changes any one numeric parameter of the flow expert."""
    from openuni.annotators.flow_dis import DisFlow

    name, value = next((n, v) for n, v in DisFlow().parameters().items() if isinstance(v, float))
    return f"flow.{name}={value * 1.5}"


def test_windows_all_cuts_a_long_clip_into_samples_of_one_source_video(clips_folder, tmp_path):
    done = openuni(
        "build", "--source", "folder", "--root", clips_folder / "good_0.mp4", "--out", tmp_path / "out", "--experts",
        "none", "--windows", "all", "--set", "frames.num_frames=8", "--set", "frames.fps=8", *EASY[:2], *EASY[4:],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = index(tmp_path / "out")
    assert len(rows) == 2 and len({row["key"] for row in rows}) == 2
    assert {row["source_video"] for row in rows} == {rows[0]["source_video"]}
    assert sorted(row["rgb.num_frames"] for row in rows) == [8.0, 8.0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--source", "foldr"], "Unknown source 'foldr'. Did you mean 'folder'? Known: folder, koala36m, synthetic."),
        (["--source", "folder", "--root", "missing"], "missing"),
        (["--source", "folder"], "--root"),
        (["--source", "koala36m"], "--root"),
        (["--source", "folder", "--root", ".", "--experts", "raftt"], "Unknown expert 'raftt'."),
        (["--source", "folder", "--root", ".", "--experts", "depth-motion"], "reads flow; add an expert for it"),
        (["--source", "folder", "--root", ".", "--preset", "papr"], "Unknown preset 'papr'. Did you mean 'paper'?"),
        (["--source", "folder", "--root", ".", "--rule", "duration.second > 1"], "Did you mean 'duration.seconds'?"),
        (["--source", "folder", "--root", ".", "--rule", "__import__('os')"], "__import__"),
        (["--source", "folder", "--root", ".", "--set", "flow.nothing=1"], "Unknown parameter of flow 'nothing'."),
        (["--source", "folder", "--root", ".", "--set", "frames.fps=fast"], "expected float or none"),
        (["--source", "folder", "--root", ".", "--limit", "0"], "--limit is 0; give at least 1."),
        (["--source", "folder", "--root", ".", "--windows", "al"], "Unknown windows 'al'. Did you mean 'all'?"),
        (["--source", "folder", "--root", ".", "--retry", "drop", "--ray", "off"], "Unknown status in --retry 'drop'."),
    ],
)
def test_a_mistake_gives_one_line_and_exit_code_2(tmp_path, clips_folder, words, message):
    here = clips_folder if "." in words else tmp_path
    done = openuni("build", *words, "--out", tmp_path / "out", cwd=here)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_is_a_mistake_with_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    done = openuni(
        "build", "--source", "folder", "--root", tmp_path / "empty", "--out", tmp_path / "out", "--ray", "off"
    )
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "no video" in done.stderr.lower()


def test_a_foreign_output_folder_is_refused_and_left_as_it_was(tmp_path, clips_folder):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    done = openuni("build", "--source", "folder", "--root", clips_folder, "--out", out, *EASY)
    assert done.returncode == 2 and "was not made by openuni build (it holds 'thesis.txt')" in done.stderr
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_a_build_of_another_source_is_refused(built, tmp_path):
    root = tmp_path / "koala"
    (root / "clips").mkdir(parents=True)
    (root / "k.csv").write_text("videoID,url,timestamp,caption\na_1,u,\"['00:01.000', '00:02.000']\",c\n")
    shutil.copy(built[0].parent / "out" / index(built[0])[0]["rgb.shard"], root / "clips" / "a_1.mp4")
    done = openuni("build", "--source", "koala36m", "--root", root, "--out", built[0], *EASY)
    assert done.returncode == 2 and "was built from source 'folder', not 'koala36m'" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="a read-only mount needs root; without root, chmod would do")
def test_an_unwritable_output_folder_is_one_line(tmp_path, clips_folder):
    place = tmp_path / "read_only"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=100k", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a tmpfs needs more rights")
    try:
        done = openuni("build", "--source", "folder", "--root", clips_folder, "--out", place / "out", *EASY)
    finally:
        subprocess.run(["umount", place], check=True)
    assert done.returncode == 2 and "Choose another --out" in done.stderr and len(done.stderr.splitlines()) == 1


def test_only_broken_files_end_the_run_with_exit_code_1(tmp_path, clips_folder):
    root = tmp_path / "broken"
    root.mkdir()
    for number in range(3):
        shutil.copy(clips_folder / "words.mp4", root / f"{number}.mp4")
    done = openuni("build", "--source", "folder", "--root", root, "--out", tmp_path / "out", *EASY)
    assert done.returncode == 1
    assert "None of 3 clips could be scored. Reasons: 3 x not_a_video. Check the files under --root." in done.stderr


def test_a_dry_run_writes_nothing(tmp_path, clips_folder):
    done = openuni("build", "--source", "folder", "--root", clips_folder, "--out", tmp_path / "out", "--dry-run")
    assert done.returncode == 0 and "stage     flow: flow-dis" in done.stdout
    assert not (tmp_path / "out").exists()


def test_show_draws_a_picture_and_a_video_of_each_clip(built, tmp_path):
    from PIL import Image

    from openuni.frames import probe

    done = openuni("show", built[0], "--out", tmp_path / "show", "--limit", "2")
    assert done.returncode == 0, done.stderr
    pictures = sorted((tmp_path / "show").glob("*.png"))
    assert len(pictures) == 2 and len(done.stdout.splitlines()) == 2
    with Image.open(pictures[0]) as picture:
        assert picture.size[0] == 5 * 320
        pixels = np.asarray(picture)
    assert pixels[50:200].std() > 20  # the frames' row is a picture, not a blank
    info = probe(pictures[0].with_suffix(".mp4"))
    assert (info.width, info.num_frames) == (640, 17)


def test_show_takes_a_shard_and_names_what_it_does_not_know(built, tmp_path):
    row = index(built[0])[0]
    done = openuni("show", built[0] / row["flow.shard"], "--out", tmp_path / "show", "--no-video")
    assert done.returncode == 0 and row["key"] in done.stdout
    done = openuni("show", "nowhere", cwd=tmp_path)
    assert done.returncode == 2 and "is no build's folder, no shard, and no clip" in done.stderr


def test_a_damaged_shard_is_found_when_it_is_read(built, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(built[0], out)
    row = index(out)[0]
    path = out / row["flow.shard"]
    path.write_bytes(path.read_bytes()[: row["flow.offset"] + 600])
    with pytest.raises(ValueError, match="it is not the tar the index was made for"):
        SampleReader(out)[0]
