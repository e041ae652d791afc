"""Videos and prompts of a folder: names, prompt files, the official list; what does not match is counted."""

import json

import pytest

from openuni.benchmark.vbench.listing import list_videos, prompt_of
from openuni.errors import BadInput


@pytest.fixture
def folder(tmp_path):
    def make(*names):
        for name in names:
            (tmp_path / name).touch()
        return tmp_path

    return make


def prompts(folder, said):
    path = folder / "prompts.json"
    path.write_text(said if isinstance(said, str) else json.dumps(said))
    return path


@pytest.mark.parametrize(
    ("name", "prompt"), [("a cat-3.mp4", "a cat"), ("a cat.gif", "a cat"), ("well-known-12.mp4", "well-known")]
)
def test_a_prompt_is_a_name_without_its_number(name, prompt):
    assert prompt_of(name) == prompt


def test_a_folder_without_a_file_has_prompts_from_names_and_all_dimensions(folder):
    listing = list_videos(folder("a-0.mp4", "a-1.MP4", "b.gif", "notes.txt"))
    assert [(one.file, one.prompt, len(one.dimensions)) for one in listing.videos] == [
        ("a-0.mp4", "a", 8), ("a-1.MP4", "a", 8), ("b.gif", "b", 8),
    ]  # fmt: skip
    assert not listing.official and not listing.counts


def test_what_videos_and_a_prompt_file_do_not_share_is_counted(folder):
    where = folder("1.mp4", "2.mp4", "3.mp4")
    listing = list_videos(where, prompts(where, '{"1.mp4": "a cat", "2.mp4": "x", "2.mp4": "a dog", "9.mp4": "gone"}'))
    assert [one.prompt for one in listing.videos] == ["a cat", "a dog", ""]
    assert listing.counts == {"videos_without_a_prompt": 1, "prompts_without_a_video": 1, "videos_named_twice": 1}


def test_a_prompt_file_of_another_folder_is_refused(folder):
    where = folder("1.mp4")
    with pytest.raises(BadInput, match=r"No video of .* is in .*prompts\.json; its first: 1\.mp4"):
        list_videos(where, prompts(where, {"other.mp4": "a cat"}))


OFFICIAL = [
    {"prompt_en": "still", "dimension": ["temporal_flickering"]},
    {"prompt_en": "a cat", "dimension": ["subject_consistency", "dynamic_degree", "motion_smoothness"]},
    {"prompt_en": "A cat", "dimension": ["scene", "background_consistency"]},
    {"prompt_en": "red", "dimension": ["color"]},
    {"prompt_en": "red", "dimension": ["color"]},
]


def test_the_official_list_asks_each_video_for_its_prompts_dimensions(folder):
    names = [f"still-{number}.mp4" for number in range(7)] + [f"a cat-{number}.mp4" for number in range(6)]
    where = folder(*names, "A cat-0.mp4", "red-0.mp4", "who-0.mp4", "a cat.mp4")
    listing = list_videos(where, prompts(where, OFFICIAL))
    by_name = {one.file: one for one in listing.videos}
    assert listing.official and len(by_name) == 7 + 5 + 1
    assert by_name["still-6.mp4"].dimensions == ("temporal_flickering",) and by_name["still-6.mp4"].static
    assert set(by_name["a cat-4.mp4"].dimensions) == {"subject_consistency", "dynamic_degree", "motion_smoothness"}
    assert by_name["A cat-0.mp4"].dimensions == ("background_consistency",)
    assert listing.counts == {
        "videos_of_no_prompt": 2, "videos_beyond_the_fifth": 1, "videos_of_other_dimensions": 1, "missing_videos": 4,
        "duplicate_prompts": 1, "prompts_that_differ_only_by_case": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("3", "expected {video: prompt}"),
        ('[{"prompt_en": "", "dimension": []}]', "entry 1 needs"),
        ('[{"prompt_en": "a", "dimension": ["beauty"]}]', "'beauty', no dimension"),
        ('{"1.mp4": 5}', "expected {video: prompt}"),
    ],
)
def test_a_file_of_another_form_is_said_in_one_line(folder, said, message):
    where = folder("1.mp4")
    with pytest.raises(BadInput, match=message):
        list_videos(where, prompts(where, said))


def test_a_folder_without_videos_is_refused(folder):
    with pytest.raises(BadInput, match="has no video"):
        list_videos(folder("notes.txt"))
