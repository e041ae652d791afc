import json
from collections import Counter

import pytest

from openuni.benchmark.prompts import Prompt, own_prompts, read_prompts
from openuni.errors import BadInput


def test_our_hundred_are_25_of_each_group_and_the_first_four_are_of_all():
    prompts = own_prompts()
    assert Counter(one.group for one in prompts) == {"people": 25, "objects": 25, "physics": 25, "camera": 25}
    for start in range(0, 100, 4):
        assert [one.group for one in prompts[start : start + 4]] == ["people", "objects", "physics", "camera"]
    assert len({one.text.lower() for one in prompts}) == 100
    assert all(one.text.isascii() and one.text.endswith(".") and len(one.text.split()) >= 7 for one in prompts)


def test_sample_names_are_safe_file_names_that_do_not_change():
    names = [one.sample for one in own_prompts()]
    assert len(set(names)) == 100
    assert all(name == name.lower() and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in names)
    # By hand: printf '%s' "$text" | sha256sum | cut -c1-8
    assert Prompt(text="A cat.", group="").sample == "a-cat-60a52d10"


def test_prompts_that_differ_by_case_are_two_with_files_that_do_not_collide_where_case_does_not_count(tmp_path):
    (tmp_path / "p.txt").write_text("A fantasy landscape\na fantasy landscape\n")
    one, other = read_prompts(tmp_path / "p.txt")
    assert one.text != other.text and one.sample.lower() != other.sample.lower()


def test_letters_outside_ascii_give_names_too(tmp_path):
    (tmp_path / "p.txt").write_text("Eine Straße im Regen\n雨の通り\n", "utf-8")
    assert [one.sample.rpartition("-")[0] for one in read_prompts(tmp_path / "p.txt")] == ["eine-strae-im-regen", ""]


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("p.txt", "# ours\n\n a  red ball \r\nb\n", [("prompts", "a red ball"), ("prompts", "b")]),
        ("p.json", json.dumps(["a", "b"]), [("prompts", "a"), ("prompts", "b")]),
        ("p.json", json.dumps({"x": ["a"], "y": ["b"]}), [("x", "a"), ("y", "b")]),
        ("p.json", json.dumps([{"prompt_en": "a", "dimension": ["scene"]}]), [("prompts", "a")]),
        ("p.json", json.dumps([{"prompt": "a", "group": "x"}]), [("x", "a")]),
    ],
)
def test_files_of_prompts_are_read_as_documented(tmp_path, name, text, wanted):
    (tmp_path / name).write_text(text)
    assert [(one.group, one.text) for one in read_prompts(tmp_path / name)] == wanted


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.txt", "a cat\nb\na  cat\n", "prompts 1 and 3 are the same: 'a cat'. Remove one."),
        ("p.txt", "cafe\u0301\ncaf\u00e9\n", "prompts 1 and 2 are the same"),
        ("p.txt", "# nothing\n\n", "holds no prompt"),
        ("p.txt", "x" * 5000, "prompt 1 has 5,000 letters; give at most 4,000."),
        ("p.json", '["a", " "]', "prompt 2 is empty"),
        ("p.json", '[{"text": "a"}]', 'prompt 1 is {"text": "a"}; expected a text, or an object with "prompt"'),
        ("p.json", '{"x": "a"}', "expected a list of prompts, got str"),
        ("p.json", "[" * 100_000, "cannot be read as prompts"),
        ("p.json", "{", "cannot be read as prompts"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(BadInput) as caught:
        read_prompts(tmp_path / name)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_and_bytes_that_are_no_text_are_said(tmp_path):
    with pytest.raises(BadInput, match="not found. Give a file of prompts"):
        read_prompts(tmp_path / "none.txt")
    (tmp_path / "p.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="cannot be read as prompts"):
        read_prompts(tmp_path / "p.txt")
