"""Shards: reproducible bytes, read back by place, nothing foreign let in."""

import hashlib
import io
import tarfile

import pytest

from openuni.shard import Span, TarWriter, members_of, read_sample


def write(path, samples):
    with open(path, "wb") as file:
        tar = TarWriter(file)
        spans = [tar.add(key, members) for key, members in samples]
        return spans, tar.finish()


SAMPLES = [("0a", {"json": b"{}", "flow.mkv": b"x" * 700}), ("0b", {"json": b""}), ("0c", {"mp4": b"y" * 512})]


def test_the_same_samples_give_the_same_bytes_and_the_hash_is_of_all_of_them(tmp_path):
    hashes = [write(tmp_path / name, SAMPLES)[1] for name in ("one.tar", "two.tar")]
    contents = [(tmp_path / name).read_bytes() for name in ("one.tar", "two.tar")]
    assert contents[0] == contents[1]
    assert hashes == [hashlib.sha256(contents[0]).hexdigest()] * 2


def test_the_standard_library_reads_the_tar_with_sorted_members_and_no_clock(tmp_path):
    write(tmp_path / "a.tar", SAMPLES)
    with tarfile.open(tmp_path / "a.tar") as tar:
        infos = tar.getmembers()
    assert [info.name for info in infos] == ["0a.flow.mkv", "0a.json", "0b.json", "0c.mp4"]
    assert {(info.mtime, info.mode, info.uid, info.uname) for info in infos} == {(0, 0o644, 0, "")}


def test_a_sample_is_read_by_its_place_alone(tmp_path):
    spans, _ = write(tmp_path / "a.tar", SAMPLES)
    for span, (_, members) in zip(spans, SAMPLES, strict=True):
        assert read_sample(tmp_path / "a.tar", span) == members
    assert spans[0] == Span(0, 512 + 1024 + 512 + 512)  # two headers, 700 bytes padded to 1024, "{}" padded to 512


@pytest.mark.parametrize("key", ["a.b", "../a", "a/b", "", "ä"])
def test_keys_that_webdataset_would_split_or_a_tar_would_misplace_are_refused(tmp_path, key):
    with pytest.raises(ValueError, match="a key has letters, digits"):
        write(tmp_path / "a.tar", [(key, {"json": b""})])


@pytest.mark.parametrize("member", ["../json", "JSON", ".json", "a b"])
def test_odd_member_names_are_refused(tmp_path, member):
    with pytest.raises(ValueError, match="a member's name is lower-case words"):
        write(tmp_path / "a.tar", [("0a", {member: b""})])


def test_a_sample_without_members_is_refused(tmp_path):
    with pytest.raises(ValueError, match="sample 0a has no members"):
        write(tmp_path / "a.tar", [("0a", {})])


def test_a_span_that_is_not_one_sample_is_refused(tmp_path):
    spans, _ = write(tmp_path / "a.tar", SAMPLES)
    both = Span(spans[0].offset, spans[0].size + spans[1].size)
    with pytest.raises(ValueError, match="holds the members of 2 samples, expected one"):
        read_sample(tmp_path / "a.tar", both)
    with pytest.raises(ValueError, match="is not part of a tar"):
        read_sample(tmp_path / "a.tar", Span(100, 512))
    with pytest.raises(ValueError, match="it is not the tar the index was made for"):
        read_sample(tmp_path / "a.tar", Span(0, 10**6))


def test_a_planted_link_is_not_followed():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("0a.json")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(ValueError, match=r"'0a\.json' is not a plain file"):
        members_of(buffer.getvalue())
