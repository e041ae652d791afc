"""`openuni funnel` on a real small build: other rules, no other work; what it decides, the next build does."""

import re
import shutil

import pyarrow.parquet as pq
import pytest

from openuni.pipelines.decision import Decision, read_decision
from openuni.sample import SampleReader
from tests.pipelines.conftest import sliding_texture
from tests.pipelines.ledger_cases import make_ledgers
from tests.pipelines.test_build import EASY, hashes, index, mtimes, openuni

FILTERS = ("--filters", "motion,duration,resolution")  # quick ones
EASY = (*EASY, *FILTERS)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Four clips of other lengths and speeds, all kept, one of which has a caption that looks like HTML."""
    from openuni.video import encode_rgb_mp4

    root = tmp_path_factory.mktemp("funnel") / "videos"
    root.mkdir()
    for number, speed in enumerate((0.5, 1.0, 2.0, 4.0)):
        frames = sliding_texture(number, px_per_frame=speed)[: 17 - 2 * number]
        (root / f"speed_{number}.mp4").write_bytes(encode_rgb_mp4(frames, fps=8.0))
    (root / "speed_0.txt").write_text("<script>alert(1)</script>\n\u05e9\u05dc\u05d5\u05dd \U0001f600")
    out = root.parent / "out"
    done = openuni("build", "--source", "folder", "--root", root, "--out", out, *EASY)
    assert done.returncode == 0, done.stderr
    return root, out


@pytest.fixture
def copy(built, tmp_path):
    shutil.copytree(built[1], tmp_path / "out")
    return built[0], tmp_path / "out"


def touched(out):
    return mtimes(out, "shards/**/*.tar") | mtimes(out, "ledger/**/*.parquet") | mtimes(out, "plan/**/*.parquet")


def test_without_rules_the_funnel_is_printed_and_the_decision_stays(copy):
    _, out = copy
    before = read_decision(out)
    done = openuni("funnel", out)
    assert done.returncode == 0, done.stderr
    assert re.search(r"listed +\S +4 ", done.stdout) and re.search(r"flow +\S +4 ", done.stdout)
    assert read_decision(out) == before == Decision(preset="none")
    assert "decided" not in done.stdout


def test_a_rule_changes_index_and_report_and_touches_no_shard_ledger_or_plan(copy):
    _, out = copy
    before, tars = touched(out), hashes(out)
    done = openuni("funnel", out, "--rule", "duration.num_frames >= 15")
    assert done.returncode == 0, done.stderr
    assert touched(out) == before and hashes(out) == tars
    assert sorted(row["source_key"] for row in index(out)) == ["speed_0.mp4", "speed_1.mp4"]
    assert "duration.num_frames &gt;= 15" in (out / "report.html").read_text(encoding="utf-8")
    assert "2 clips" in done.stdout and "^ duration.num_frames >= 15" in done.stdout
    assert read_decision(out) == Decision(preset="none", rules=("duration.num_frames >= 15",))


def test_a_dry_run_tells_the_same_and_writes_nothing(copy):
    _, out = copy
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    done = openuni("funnel", out, "--rule", "duration.num_frames >= 15", "--dry-run")
    assert done.returncode == 0 and re.search(r"samples +\S +2 ", done.stdout)
    assert "nothing written" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before


def test_newly_selected_clips_are_annotated_by_the_next_build_which_goes_by_the_funnels_decision(built, tmp_path):
    root, out = built[0], tmp_path / "out"
    base = ("build", "--source", "folder", "--root", root, "--out", out, *EASY)
    assert openuni(*base, "--rule", "duration.num_frames >= 15").returncode == 0
    old = hashes(out)
    assert len(index(out)) == 2
    done = openuni("funnel", out, "--rule", "duration.num_frames >= 13")
    assert "1 selected clips are not annotated yet; the next `openuni build` does them" in done.stdout
    assert len(index(out)) == 2
    command = [word for word in base if word not in ("--preset", "none")]
    done = openuni(*command)
    assert done.returncode == 0, done.stderr
    assert sorted(row["source_key"] for row in index(out)) == [f"speed_{n}.mp4" for n in range(3)]
    assert old.items() <= hashes(out).items()
    assert read_decision(out).rules == ("duration.num_frames >= 13",)


def test_an_acceptance_rule_takes_a_map_out_of_the_index_and_leaves_its_bytes(copy):
    _, out = copy
    tars = hashes(out)
    rows = index(out)
    line = sorted(row["flow.magnitude_mean_px"] for row in rows)[1]
    done = openuni("funnel", out, "--accept", f"flow: flow.magnitude_mean_px > {line!r}")
    assert done.returncode == 0, done.stderr
    after = {row["key"]: row for row in index(out)}
    assert len(after) == 4 and hashes(out) == tars
    for row in rows:
        kept = row["flow.magnitude_mean_px"] > line
        assert after[row["key"]]["flow.present"] == kept
        assert after[row["key"]]["flow.reason"] == ("" if kept else f"rejected: flow.magnitude_mean_px > {line!r}")
    reader = SampleReader(out, ["flow"])
    read = [reader[number] for number in range(4)]
    assert sum("flow" in sample.maps for sample in read) == 2
    assert {reason for sample in read for reason in sample.absent.values()} == {
        f"rejected: flow.magnitude_mean_px > {line!r}"
    }
    assert "2 against flow.magnitude_mean_px >" in done.stdout.replace("\n", "")
    # And back again.
    assert openuni("funnel", out, "--preset", "none").returncode == 0
    assert all(row["flow.present"] for row in index(out))


def test_captions_with_html_and_other_scripts_are_in_index_and_report_unharmed(built):
    _, out = built
    caption = "<script>alert(1)</script>\n\u05e9\u05dc\u05d5\u05dd \U0001f600"
    assert caption in [row["caption"] for row in index(out)]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert (
        "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;\n\u05e9\u05dc\u05d5\u05dd \U0001f600" in page
    )


def test_the_report_shows_the_clips_at_the_line_as_pictures(copy):
    _, out = copy
    assert openuni("funnel", out, "--rule", "duration.num_frames >= 15").returncode == 0
    page = (out / "report.html").read_text(encoding="utf-8")
    margin = page[page.index("<h3>duration.num_frames &gt;= 15</h3>") :]
    kept, dropped = margin.split('<span class="tag dropped">', 1)
    assert kept.count("data:image/jpeg;base64,") == 2
    assert dropped[: dropped.index("<h2>")].count("data:image/jpeg;base64,") == 2
    assert len(list((out / "cache" / "pictures").glob("*.jpg"))) == 4
    without = openuni("funnel", out, "--no-pictures")
    assert without.returncode == 0
    assert "data:image/jpeg" not in (out / "report.html").read_text(encoding="utf-8")


def test_sources_that_are_gone_cost_the_pictures_only(built, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(built[1], out)
    shutil.rmtree(out / "cache")
    moved = tmp_path / "moved"
    shutil.copytree(built[0], moved)
    import json

    about = json.loads((out / "run.json").read_text())
    about["config"]["base"] = str(tmp_path / "gone")
    (out / "run.json").write_text(json.dumps(about))
    assert openuni("funnel", out, "--rule", "duration.num_frames >= 15").returncode == 0
    assert "file_missing" in (out / "report.html").read_text(encoding="utf-8")
    assert openuni("funnel", out, "--root", moved).returncode == 0
    assert "file_missing" not in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rule", "duration.second > 1"], "Did you mean 'duration.seconds'?"),
        (["--rule", "duration.seconds >"], "cannot be read"),
        (["--preset", "papr"], "Unknown preset 'papr'. Did you mean 'paper'?"),
        (["--accept", "dept: flow.valid_fraction > 1"], "Unknown modality in --accept 'dept'"),
        (["--accept", "flow.valid_fraction > 1"], "write 'flow: flow_check.coverage > 0.5'"),
        (["--root", "nowhere"], "nowhere is no folder"),
    ],
)
def test_a_mistake_gives_one_line_exit_code_2_and_changes_nothing(built, words, message):
    _, out = built
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and path.name != ".lock"}
    done = openuni("funnel", out, *words)
    assert done.returncode == 2 and message in done.stderr
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == before


def test_a_folder_that_is_no_build_is_one_line(tmp_path):
    done = openuni("funnel", tmp_path)
    assert done.returncode == 2 and "Give the folder of a finished build" in done.stderr
    (tmp_path / "manifest.json").write_text('{"format": 1}')
    done = openuni("funnel", tmp_path)
    assert done.returncode == 2 and "has format 1, this version reads 2" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_errors_are_listed_with_their_traceback_and_count(tmp_path):
    from openuni.pipelines.conclude import conclude
    from openuni.pipelines.select import select

    passes = make_ledgers(tmp_path / "out")
    conclude(passes, Decision(preset="none"), select(passes.score, ()), base=None)
    done = openuni("funnel", tmp_path / "out", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "2 error in light: ValueError: odd <b> (ledger/light/light0000000/_errors/0123456789ab.txt)" in done.stdout
    assert pq.read_table(tmp_path / "out" / "index.parquet").num_rows > 0
