"""Folder source: what is listed, in which order, with which ids; what is left out is counted."""

import json
import os
from pathlib import Path

import pytest

from openuni.errors import BadInput
from openuni.pipelines.sources.base import MAX_CAPTION_CHARS, clean_text
from openuni.pipelines.sources.files import content_digest, walk_videos
from openuni.pipelines.sources.folder import Folder
from openuni.pipelines.sources.sidecar import BadSpan, parse_sidecar


def put(root: Path, *names: str) -> Path:
    """Write small files; a source reads bytes, it does not decode."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"video " + name.encode())
    return root


def listed(root, **options) -> list[str]:
    return [clip.path for clip in Folder(root=Path(root), **options).clips()]


def test_videos_are_listed_recursively_in_the_order_of_their_path_bytes(tmp_path):
    names = ["b.mp4", "a/z.mkv", "a.mp4", "a/b/c.webm", "a-b.mov", "Z.AVI", "\u00e9.mp4", "a/0.ts"]
    put(tmp_path, *names, "notes.md", "a/poster.jpg")
    assert listed(tmp_path) == sorted(names, key=os.fsencode)


def test_hidden_files_and_builds_are_left_out(tmp_path):
    put(tmp_path, "a.mp4", "._a.mp4", ".trash/b.mp4", "out/scratch/c.mp4", "out/run.json", "out/plan/u.parquet")
    assert listed(tmp_path) == ["a.mp4"]


def test_link_loops_end_and_are_counted(tmp_path):
    put(tmp_path, "a/x.mp4", "b/y.mp4")
    (tmp_path / "a/b").symlink_to(tmp_path / "b")
    (tmp_path / "b/a").symlink_to(tmp_path / "a")
    (tmp_path / "b/up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    source = Folder(root=tmp_path)
    assert [clip.path for clip in source.clips()] == ["a/b/y.mp4", "a/x.mp4"]
    assert source.skipped == {"folder_twice": 3}


def test_broken_links_and_empty_files_are_counted(tmp_path):
    put(tmp_path, "a.mp4")
    (tmp_path / "b.mp4").symlink_to(tmp_path / "gone.mp4")
    (tmp_path / "c.mp4").touch()
    os.mkfifo(tmp_path / "d.mp4")  # reading it would wait for ever
    source = Folder(root=tmp_path)
    assert len(list(source.clips())) == 1
    assert source.skipped == {"broken_link": 1, "empty_file": 1, "not_a_file": 1}
    assert len(list(source.clips())) == 1 and source.skipped["empty_file"] == 1  # set back, not added up


def test_names_that_are_not_utf8_are_counted(tmp_path):
    put(tmp_path, "a.mp4")
    try:
        Path(os.fsdecode(bytes(tmp_path) + b"/\xff.mp4")).write_bytes(b"v")
    except OSError:
        pytest.skip("this file system refuses such names")
    source = Folder(root=tmp_path)
    assert [clip.path for clip in source.clips()] == ["a.mp4"]
    assert source.skipped == {"name_not_utf8": 1}


def test_id_depends_on_path_content_and_span_only(tmp_path):
    def ids(folder):
        return [clip.clip_id for clip in Folder(root=folder).clips()]

    first = ids(put(tmp_path / "one", "a.mp4", "b/c.mp4"))
    assert ids(put(tmp_path / "two", "a.mp4", "b/c.mp4")) == first
    (tmp_path / "two/a.mp4").write_bytes(b"other")
    (tmp_path / "two/b/c.json").write_text('{"start_s": 1}')
    assert not set(ids(tmp_path / "two")) & set(first)


def test_digest_sees_size_start_and_end(tmp_path):
    size = 5 << 20
    base = bytearray(size)
    digests = set()
    for position in (None, 0, (1 << 20) - 1, size - (1 << 20), size - 1):
        data = bytearray(base)
        if position is not None:
            data[position] = 1
        (tmp_path / "v").write_bytes(data)
        digests.add(content_digest(tmp_path / "v"))
    (tmp_path / "v").write_bytes(base[:-1])
    digests.add(content_digest(tmp_path / "v"))
    assert len(digests) == 6


def test_digest_of_a_short_file_sees_every_byte(tmp_path):
    digests = set()
    for position in range(4):
        data = bytearray(4)
        data[position] = 1
        (tmp_path / "v").write_bytes(data)
        digests.add(content_digest(tmp_path / "v"))
    assert len(digests) == 4


def test_captions_come_from_txt_or_json_and_json_wins(tmp_path):
    put(tmp_path, "a.mp4", "b.mp4", "c.mp4", "d.e.mp4")
    (tmp_path / "a.txt").write_text("\ufeff A cat.\r\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("from txt")
    (tmp_path / "b.json").write_text('{"prompt": ["from json", "second"]}')
    (tmp_path / "c.txt").write_text("from txt")
    (tmp_path / "c.json").write_text('{"fps": 8}')
    (tmp_path / "d.e.txt").write_text("dotted")
    clips = list(Folder(root=tmp_path).clips())
    assert [clip.caption for clip in clips] == ["A cat.", "from json", "from txt", "dotted"]
    assert [clip.caption for clip in Folder(root=tmp_path, sidecars=False).clips()] == [""] * 4


def test_json_sidecar_gives_span_licence_group_and_scores(tmp_path):
    put(tmp_path, "a.mp4")
    record = {
        "text": "T",
        "license": "CC-BY\n4.0",
        "group": "single human",
        "start_s": 1,
        "end_s": 2.5,
        "aesthetic score": 4,
        "ok": True,
        "nan": float("nan"),
        "big": 10**400,
        "tag": "x",
    }
    (tmp_path / "a.json").write_text(json.dumps(record))
    (clip,) = Folder(root=tmp_path).clips()
    assert (clip.caption, clip.licence, clip.group) == ("T", "CC-BY 4.0", "single human")
    assert (clip.start_s, clip.end_s) == (1.0, 2.5)
    assert clip.published == {"aesthetic_score": 4.0}
    assert clip.from_row(clip.to_row()) == clip


@pytest.mark.parametrize(
    "span", ['{"start_s": -1}', '{"start_s": 2, "end_s": 2}', '{"end_s": "3"}', '{"start_s": NaN}', '{"end_s": true}']
)
def test_a_span_that_is_none_leaves_the_clip_out_counted(tmp_path, span):
    put(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "a.json").write_text(span)
    source = Folder(root=tmp_path)
    assert [clip.path for clip in source.clips()] == ["b.mp4"]
    assert source.skipped == {"bad_span": 1}
    with pytest.raises(BadSpan, match="_s must be seconds"):
        parse_sidecar(span)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"caption": ', "sidecar_not_json"),
        (b'["caption"]', "sidecar_not_json"),
        (b"[" * 200_000, "sidecar_not_json"),
        (b'{"x": ' + b"9" * 5000 + b"}", "sidecar_not_json"),
        (b'{"caption": "\xff"}', "sidecar_not_utf8"),
        (b" " * (1 << 20) + b"{}", "sidecar_too_large"),
    ],
)
def test_a_bad_sidecar_costs_the_caption_and_is_counted_but_not_the_clip(tmp_path, data, reason):
    put(tmp_path, "a.mp4")
    (tmp_path / "a.json").write_bytes(data)
    source = Folder(root=tmp_path)
    (clip,) = source.clips()
    assert clip.caption == "" and source.warned == {reason: 1} and not source.skipped


def test_captions_are_cleaned_and_bounded():
    assert clean_text(" a\x00b\x1b[31mc\u202e\ud800\r\nd\te\x85 ") == "ab[31mc\nd\te"
    assert clean_text("\u0915\u094d\u200d\u0937 \U0001f469\u200d\U0001f680") == (
        "\u0915\u094d\u200d\u0937 \U0001f469\u200d\U0001f680"  # joiners belong to scripts and emoji
    )
    assert len(clean_text("x" * 10**6)) == MAX_CAPTION_CHARS


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("clips/*.mp4", ["clips/a.mp4", "clips/b.mp4"]),
        ("clips/**/*.mp4", ["clips/a.mp4", "clips/b.mp4", "clips/x/a.mp4", "clips/x/y/a.mp4"]),
        ("**/a.*", ["clips/a.mp4", "clips/x/a.mp4", "clips/x/y/a.mp4", "clips/x/y/a.webm"]),
        ("clips/*", ["clips/a.mp4", "clips/b.mp4"]),
        ("clips/[!b].mp4", ["clips/a.mp4"]),
        ("*/?/*.mp4", ["clips/x/a.mp4"]),
        ("clips/x/**", ["clips/x/a.mp4", "clips/x/y/a.mp4", "clips/x/y/a.webm"]),
    ],
)
def test_a_pattern_lists_what_it_matches(tmp_path, pattern, expected):
    put(
        tmp_path,
        "clips/a.mp4",
        "clips/b.mp4",
        "clips/a.txt",
        "clips/x/a.mp4",
        "clips/x/y/a.mp4",
        "clips/x/y/a.webm",
        "clips/.x/a.mp4",
        "other/b.mov",
    )
    source = Folder(root=tmp_path / pattern)
    found = [str((source.base / clip.path).relative_to(tmp_path)) for clip in source.clips()]
    assert found == expected


def test_a_folder_with_brackets_in_its_name_is_a_folder(tmp_path):
    put(tmp_path, "[2024] a/v.mp4")
    assert listed(tmp_path / "[2024] a") == ["v.mp4"]


def test_one_video_is_one_clip(tmp_path):
    put(tmp_path, "a.mp4", "b.mp4")
    source = Folder(root=tmp_path / "a.mp4")
    (clip,) = source.clips()
    assert clip.path == "a.mp4" and source.locate(clip) == tmp_path / "a.mp4"


def test_a_list_names_videos_relative_to_itself_or_absolute(tmp_path):
    put(tmp_path, "l/b.mp4", "l/sub/a.mp4", "c.mp4", "l/no_suffix")
    lines = [
        "# mine",
        "",
        "sub/a.mp4",
        " b.mp4 ",
        "./b.mp4",
        "../c.mp4",
        str(tmp_path / "l/b.mp4"),
        "gone.mp4",
        "no_suffix",
        "sub",
        "x\0y",
    ]
    (tmp_path / "l/list.txt").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    source = Folder(root=tmp_path / "l/list.txt")
    clips = list(source.clips())
    assert [clip.path for clip in clips] == ["sub/a.mp4", "b.mp4", str(tmp_path / "c.mp4"), "no_suffix"]
    assert source.locate(clips[2]) == tmp_path / "c.mp4"
    assert source.skipped == {"duplicate_key": 2, "file_missing": 1, "not_a_file": 1, "bad_line": 1}


@pytest.mark.parametrize(
    ("root", "message"),
    [
        (None, "Source 'folder' needs --root PATH: a folder with videos"),
        ("gone", "gone not found. Pass a folder with videos"),
        ("empty", "empty holds no video. Pass"),
        ("notes.md", "notes.md is neither a video nor a list. Pass"),
        ("list.txt", "list.txt names no video that exists"),
        ("gone/*.mp4", "gone, the start of the pattern .*, is not a folder"),
        ("empty/*.mp4", r"empty/\*.mp4 holds no video"),
        ("build", "build is a folder that `openuni build` wrote"),
    ],
)
def test_a_wrong_root_is_found_before_anything_is_listed(tmp_path, root, message):
    put(tmp_path, "empty/readme.md", "notes.md", "build/run.json", "build/ledger/x", "build/a.mp4")
    (tmp_path / "list.txt").write_text("a caption, not a list\n")
    source = Folder(root=None if root is None else tmp_path / root)
    with pytest.raises(BadInput, match=message) as caught:
        source.clips()
    assert "\n" not in str(caught.value)


def test_listing_is_lazy(tmp_path):
    """Folders that were not reached yet are not read."""
    put(tmp_path, "a/1.mp4", "b/1.mp4")
    walk = walk_videos(tmp_path, skip=lambda reason, what: None)
    assert next(walk) == "a/1.mp4"
    put(tmp_path, "b/2.mp4")
    assert list(walk) == ["b/1.mp4", "b/2.mp4"]
