"""Koala-36M source: the published CSV format, streamed; rows and files that do not meet are counted."""

import csv
import tracemalloc
from pathlib import Path

import pytest

from openuni.errors import BadInput
from openuni.pipelines.sources.koala36m import Koala36M, parse_timestamp, source_video

HEADER = ["videoID", "url", "timestamp", "caption", "clarity_score", "aesthetic_score", "motion_score", "vtss"]


def row(key, *, span="['0:00:04.004', '0:00:09.877']", caption="A cat.", scores=(0.9, 4.9, 4.7, 4.3)):
    return [key, f"https://example.org/watch?v={key}", span, caption, *map(str, scores)]


def collection(root: Path, rows, *, clips=(), header=HEADER, name="Koala_36M_1.csv") -> Koala36M:
    root.mkdir(exist_ok=True)
    with open(root / name, "w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    for clip in clips:
        (root / clip).parent.mkdir(parents=True, exist_ok=True)
        (root / clip).write_bytes(b"video")
    return Koala36M(root=root)


def test_a_row_becomes_a_clip_of_the_whole_file_with_its_source_span_published(tmp_path):
    source = collection(tmp_path, [row("-a_b_12", caption='One,\n"two"')], clips=["clips/-a_b_12.mp4"])
    (clip,) = source.clips()
    assert (clip.source, clip.source_key, clip.source_video) == ("koala36m", "-a_b_12", "-a_b")
    assert (clip.path, clip.start_s, clip.end_s) == ("clips/-a_b_12.mp4", 0.0, None)
    assert clip.caption == 'One,\n"two"'
    assert clip.published == {
        "source_start_s": 4.004,
        "source_end_s": 9.877,
        "url": "https://example.org/watch?v=-a_b_12",
        "clarity_score": 0.9,
        "aesthetic_score": 4.9,
        "motion_score": 4.7,
        "vtss": 4.3,
    }
    assert clip.group == "koala36m" and "research use" in clip.licence
    assert not source.skipped and not source.warned
    assert clip.from_row(clip.to_row()) == clip


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("['0:12:31.240', '0:12:40.400']", (751.24, 760.4)),
        ("['00:21.500', '00:27.000']", (21.5, 27.0)),
        ('["1:00:00.000","1:00:05"]', (3600.0, 3605.0)),
        (" [ '71:02.5' , '71:03.5' ] ", (4262.5, 4263.5)),
        ("('0:00:01.0', '0:00:02.0')", (1.0, 2.0)),
        ("['0:00:09.000', '0:00:04.000']", None),
        ("['0:00:04.000', '0:00:04.000']", None),
        ("['0:00:04.000']", None),
        ("['0:00:04.000', '0:00:05.000', '0:00:06.000']", None),
        ("['4.0', '5.0']", None),
        ("[4, 5]", None),
        ("['-1:00.0', '0:05.0']", None),
        ("['0:nan', '0:inf']", None),
        ("__import__('os').system('true')", None),
        ("['0:01.0', '0:02.0']" + " " * 1000, None),
        ("", None),
    ],
)
def test_timestamps_of_both_spellings_are_read_and_nothing_else(text, span):
    assert parse_timestamp(text) == span


@pytest.mark.parametrize(
    ("video_id", "expected"),
    [("xED6jYxWaGg_26", "xED6jYxWaGg"), ("_a_b_3", "_a_b"), ("abc", "abc"), ("abc_x", "abc_x"), ("_3", "_3")],
)
def test_source_video_is_the_id_without_the_clip_number(video_id, expected):
    assert source_video(video_id) == expected


@pytest.mark.parametrize(
    "spelling", ["vtss", "VTSS", "vtss_score", "video_training_suitability_score", "Training_Suitability_Assessment"]
)
def test_vtss_is_found_under_any_spelling_and_position(tmp_path, spelling):
    header = [spelling, *HEADER[:-1]]
    source = collection(tmp_path, [["4.3", *row("a_1")[:-1]]], clips=["a_1.mp4"], header=header)
    (clip,) = source.clips()
    assert clip.published["vtss"] == 4.3 and clip.published["motion_score"] == 4.7


def test_a_csv_without_a_score_column_is_read_with_a_warning(tmp_path, caplog):
    source = collection(tmp_path, [row("a_1")[:4]], clips=["a_1.mp4"], header=HEADER[:4])
    (clip,) = source.clips()
    assert set(clip.published) == {"source_start_s", "source_end_s", "url"}
    assert "has no column for vtss: rules on published.vtss find it missing" in caplog.text


def test_rows_and_files_that_do_not_meet_are_counted(tmp_path):
    rows = [
        row("a_1"),
        row("gone_1"),
        row("a_1"),
        row("b_1", span="[1, 2]"),
        row("c_1")[:5],
        [],
        row(""),
        row("d_1", scores=("", "x", "nan", "4")),
        row("gone_2"),
    ]
    clips = ["x/a_1.mp4", "x/b_1.mp4", "x/d_1.MKV", "y/a_1.mp4", "z/nobody_1.mp4"]
    source = collection(tmp_path, rows, clips=clips)
    listed = list(source.clips())
    assert [clip.path for clip in listed] == ["x/a_1.mp4", "x/d_1.MKV"]
    assert listed[1].published["vtss"] == 4.0 and "clarity_score" not in listed[1].published
    assert source.skipped == {
        "file_missing": 2,
        "duplicate_key": 1,
        "bad_timestamp": 1,
        "bad_row": 2,
        "duplicate_file": 1,
        "no_csv_row": 1,
    }
    assert source.warned == {"no_clarity_score": 1, "no_aesthetic_score": 1, "no_motion_score": 1}


def test_several_csv_files_are_read_in_the_order_of_their_names(tmp_path):
    collection(tmp_path, [row("b_1")], clips=["a_1.mp4", "b_1.mp4"], name="Koala_36M_2.csv")
    source = collection(tmp_path, [row("a_1")], name="Koala_36M_1.csv")
    assert [clip.source_key for clip in source.clips()] == ["a_1", "b_1"]
    assert [clip.source_key for clip in Koala36M(root=tmp_path, tables="*_2.csv").clips()] == ["b_1"]


def test_bytes_that_are_not_utf8_cost_no_row(tmp_path):
    collection(tmp_path, [row("a_1", caption="caf!")], clips=["a_1.mp4"])
    table = tmp_path / "Koala_36M_1.csv"
    table.write_bytes(table.read_bytes().replace(b"caf!", b"caf\xe9"))
    source = Koala36M(root=tmp_path)
    (clip,) = source.clips()
    assert clip.caption == "caf\ufffd" and source.warned == {"caption_not_utf8": 1}


def test_a_missing_quote_costs_its_row_and_the_next(tmp_path):
    keys = [f"v{i}_1" for i in range(5)]
    collection(tmp_path, [row(key, caption="word word") for key in keys], clips=[f"{key}.mp4" for key in keys])
    table = tmp_path / "Koala_36M_1.csv"
    lines = table.read_bytes().split(b"\r\n")
    lines[2] = lines[2].replace(b"word word", b'"word word')
    table.write_bytes(b"\r\n".join(lines))
    source = Koala36M(root=tmp_path)
    assert [clip.source_key for clip in source.clips()] == ["v0_1", "v3_1", "v4_1"]
    assert source.skipped == {"bad_row": 1, "no_csv_row": 2}  # the two rows read as one


def test_a_field_beyond_the_limit_costs_its_row(tmp_path):
    rows = [row("a_1"), row("b_1", caption="x, " * 400_000), row("c_1")]
    source = collection(tmp_path, rows, clips=["a_1.mp4", "b_1.mp4", "c_1.mp4"])
    assert [clip.source_key for clip in source.clips()] == ["a_1", "c_1"]
    assert source.skipped == {"bad_row": 1, "no_csv_row": 1}


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        ("no root", "needs --root DIR: a folder with the published CSV files.*`openuni demo` makes a folder to try"),
        ("gone", "gone is not there. Give --root DIR"),
        ("file", "file is not a folder. Give --root DIR"),
        ("empty", r"empty holds no CSV file \(\*.csv\). Give --root DIR"),
        ("columns", "lacks the columns videoID, timestamp; it begins with 'id, url, caption'"),
        ("no clips", "holds no video file. Give --root DIR.*Fetching from the URLs does not exist yet"),
        ("empty csv", "lacks the columns videoID, url, timestamp, caption"),
        ("pattern", "tables must be a pattern relative to .*, got ''"),
    ],
)
def test_a_wrong_root_is_found_before_anything_is_listed(tmp_path, prepare, message):
    root, options = tmp_path / prepare, {}
    if prepare == "file":
        root.write_text("")
    elif prepare == "empty":
        root.mkdir()
    elif prepare == "columns":
        collection(root, [], header=["id", "url", "caption"])
    elif prepare == "empty csv":
        root.mkdir()
        (root / "x.csv").touch()
    elif prepare in ("no clips", "pattern"):
        collection(root, [row("a_1")])
        options = {"tables": ""} if prepare == "pattern" else {}
    source = Koala36M(root=None if prepare == "no root" else root, **options)
    with pytest.raises(BadInput, match=message) as caught:
        source.clips()
    assert "\n" not in str(caught.value)


def test_two_hundred_thousand_rows_are_streamed(tmp_path):
    num_rows, wanted = 200_000, ["v0_1", "v199999_1"]
    source = collection(tmp_path, [], clips=[f"clips/{key}.mp4" for key in wanted])
    table = tmp_path / "Koala_36M_1.csv"
    line = ",".join(row("v{0}_1", span="\"['0:00:04.004', '0:00:09.877']\"", caption="word " * 20)) + "\r\n"
    with open(table, "a", encoding="utf-8", newline="") as file:
        file.writelines(line.format(i) for i in range(num_rows))
    tracemalloc.start()
    clips = source.clips()
    assert next(clips).source_key == "v0_1"
    # Lazy: what is appended now is still found, so the file was not read to its end.
    (tmp_path / "clips/late_1.mp4").write_bytes(b"video")
    with open(table, "a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerow(row("late_1"))
    assert [clip.source_key for clip in clips] == ["v199999_1"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert source.skipped == {"file_missing": num_rows - 1}  # the late row was read; its file came after the scan
    assert peak < 2e6 < table.stat().st_size / 15  # bytes: a few buffers, not the table's 40 MB
