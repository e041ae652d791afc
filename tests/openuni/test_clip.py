"""Clips: ids that are the same everywhere, rows that come back whole, splits by source video."""

from openuni.clip import VALIDATION_PERCENT, Clip, make_clip_id, split_of


def test_an_id_is_twenty_hex_digits_and_known_for_good():
    assert make_clip_id("folder", "a/b.mp4") == "190615bcad6d77a808a4"


def test_anything_that_tells_clips_apart_changes_the_id():
    ids = {
        make_clip_id("folder", "a"),
        make_clip_id("koala36m", "a"),
        make_clip_id("folder", "b"),
        make_clip_id("folder", "a", start_s=1.0),
        make_clip_id("folder", "a", end_s=1.0),
        make_clip_id("folder", "a", content="x"),
    }
    assert len(ids) == 6


def test_a_clip_survives_its_row():
    clip = Clip(
        clip_id="0" * 20, source="s", source_key="k", source_video="v", path="p", end_s=2.5, published={"vtss": 4.3}
    )
    assert Clip.from_row(clip.to_row()) == clip


def test_one_source_video_in_a_hundred_is_for_validation():
    videos = [f"video{number}" for number in range(20_000)]
    share = sum(split_of(video) == "validation" for video in videos) / len(videos)
    # 20,000 draws: the standard deviation of the share is 0.07 %.
    assert abs(share - VALIDATION_PERCENT / 100) < 0.003
    assert split_of("video1") == split_of("video1")
