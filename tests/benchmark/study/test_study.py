"""Blind pairs: fair sides, nothing that names a system, answers checked and counted as worked out by hand."""

import base64
import json
import re
from collections import Counter

import numpy as np
import pytest
from typer.testing import CliRunner

from openuni.benchmark.statistics import wilson
from openuni.benchmark.study.answers import Vote, read_answers, win_rates
from openuni.benchmark.study.page import AXES, write_page
from openuni.benchmark.study.pairs import make_study
from openuni.cli import app
from openuni.errors import BadInput
from openuni.video import decode_rgb
from tests.benchmark.study.clips import write_system

NASTY = '</blockquote><script>alert("x")</script>&<b onclick=1>'
PROMPTS = {"a-cat-1": "A cat.", "a-dog-2": NASTY, "rain-3": "Rain."}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    return tuple(
        write_system(root / name, f"system-{name}", level, PROMPTS, samples=2)
        for name, level in (("dark", 40), ("light", 200))
    )


def study_command(*options):
    return CliRunner().invoke(app, ["bench", "study", *map(str, options)])


def answer(study, rater, side_of):
    """A file's content in which `side_of(pair)` says which side wins on every axis."""
    given = [{"pair": pair.key, **dict.fromkeys(AXES, side_of(pair))} for pair in study.pairs]
    return {"format": 1, "study": study.id, "rater": rater, "answers": given}


def save(path, content):
    path.write_text(json.dumps(content))
    return path


def a_wins(pair):
    return "left" if pair.first_is_left else "right"


def test_every_question_in_common_is_a_pair_and_each_prompt_comes_once_before_any_twice(runs):
    study = make_study(*runs)
    assert len(study.pairs) == 6 and {one.sample for one in study.pairs[:3]} == set(PROMPTS)
    assert study.names == ("system-dark", "system-light")
    assert make_study(*runs) == study and make_study(*runs, seed=1).id != study.id
    assert [one.sample for one in make_study(*runs, pairs=3).pairs] == [one.sample for one in study.pairs[:3]]
    assert make_study(runs[1], runs[0]).id != study.id


def test_sides_are_fair_over_seeds(runs):
    left = [pair.first_is_left for seed in range(40) for pair in make_study(*runs, seed=seed).pairs]
    # 240 coins: 4 standard deviations are 31.
    assert abs(sum(left) - 120) <= 31


def test_the_page_shows_each_clip_on_its_side_and_names_no_system(runs, tmp_path):
    study = make_study(*runs)
    write_page(study, tmp_path / "study.html")
    page = (tmp_path / "study.html").read_text("utf-8")
    assert not any(name in page for name in study.names) and all(str(one.first) not in page for one in study.pairs)
    assert not any(sample in page for sample in PROMPTS) and "seed-" not in page
    blocks = re.findall(r'data-pair="(\w+)".*?base64,([^"]+)".*?base64,([^"]+)"', page, re.S)
    assert [key for key, _, _ in blocks] == [pair.key for pair in study.pairs]
    for pair, (_, left, right) in zip(study.pairs, blocks, strict=True):
        levels = [decode_rgb(base64.b64decode(side)).frames.mean() for side in (left, right)]
        assert (levels[0] < 100) == pair.first_is_left and (levels[1] < 100) != pair.first_is_left


def test_captions_are_escaped_and_nothing_is_fetched(runs, tmp_path):
    write_page(make_study(*runs), tmp_path / "study.html")
    page = (tmp_path / "study.html").read_text("utf-8")
    assert page.count("<script") == 1 and "&lt;script&gt;alert" in page and "<b onclick" not in page
    assert "default-src 'none'" in page and not re.search(r"https?://", page)
    outside = re.findall(r'(?:src|href)="(?!data:)([^"]*)"', page)
    assert outside == []


def test_one_rater_who_always_prefers_a_gives_wilsons_interval_over_prompts(runs, tmp_path):
    study = make_study(*runs, pairs=3)
    votes = read_answers([save(tmp_path / "x.json", answer(study, "x", a_wins))], study)
    for row in win_rates(votes):
        assert (row.wins, row.ties, row.losses, row.rate) == (3, 0, 0, 1.0)
        assert (row.low, row.high) == wilson(3, 3) and (row.prompts, row.raters) == (3, 1)
    assert [row.axis for row in win_rates(votes)] == ["physics", "semantics", "overall"]


def test_no_difference_counts_half_and_a_prompt_counts_once():
    votes = [Vote("x", "p", "overall", 1.0), Vote("x", "q", "overall", 0.5), Vote("x", "q", "overall", 0.0)]
    (row,) = win_rates(votes)
    assert row.rate == pytest.approx((1 + 0.25) / 2) and (row.wins, row.ties, row.losses) == (1, 1, 1)


def test_raters_who_contradict_each_other_prove_nothing(runs, tmp_path):
    study = make_study(*runs)
    files = [
        save(tmp_path / f"{rater}.json", answer(study, rater, lambda pair, a=a: a_wins(pair) if a else
                                                 ("right" if pair.first_is_left else "left")))
        for rater, a in (("x", True), ("y", False))
    ]  # fmt: skip
    for row in win_rates(read_answers(files, study)):
        assert row.rate == 0.5 and row.low == 0 and row.high == 1


def test_always_clicking_left_is_no_win_for_anybody(runs, tmp_path):
    rates = []
    for seed in range(20):
        study = make_study(*runs, seed=seed)
        votes = read_answers([save(tmp_path / "l.json", answer(study, "l", lambda pair: "left"))], study)
        rates.append(win_rates(votes)[0].rate)
    assert np.mean(rates) == pytest.approx(0.5, abs=0.2)


def test_the_command_writes_a_page_once_and_counts_answers(runs, tmp_path):
    page = tmp_path / "study.html"
    first = study_command(*runs, "--out", page, "--pairs", 3)
    assert first.exit_code == 0 and "3 blind pairs of system-dark and system-light" in first.output
    again = study_command(*runs, "--out", page)
    assert isinstance(again.exception, BadInput) and "--overwrite" in str(again.exception)
    study = make_study(*runs, pairs=3)
    files = [save(tmp_path / f"{one}.json", answer(study, one, a_wins)) for one in ("x", "y")]
    counted = study_command(*runs, "--pairs", 3, "--answers", *files)
    assert counted.exit_code == 0 and "A = system-dark, B = system-light" in counted.output
    line = next(line for line in counted.output.splitlines() if "Physically" in line)
    assert line.split()[3:6] == ["6", "0", "0"] and "100.0 %" in line


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"study": "other"}, "is of study other, A and B make study"),
        ({"format": 2}, "is no file of answers (format 1)"),
        ({"answers": "x"}, "is no file of answers"),
        ({"rater": "<b>"}, "names no rater"),
        ({"answers": [{"pair": "none"}]}, "answer 1 is about no pair of this study"),
        ({"answers": [7]}, "answer 1 is about no pair of this study"),
        ({"answers": []}, "hold no answer"),
    ],
)
def test_files_that_are_no_answers_are_one_clear_line(runs, tmp_path, changes, message):
    study = make_study(*runs)
    path = save(tmp_path / "x.json", {**answer(study, "x", a_wins), **changes})
    with pytest.raises(BadInput) as caught:
        read_answers([path], study)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_pair_answered_twice_an_unknown_side_and_a_rater_twice_are_refused(runs, tmp_path):
    study = make_study(*runs)
    said = answer(study, "x", a_wins)
    twice = save(tmp_path / "twice.json", {**said, "answers": said["answers"][:1] * 2})
    odd = save(tmp_path / "odd.json", answer(study, "x", lambda pair: "both"))
    good = save(tmp_path / "good.json", said)
    for paths, message in (
        ([twice], "or about one twice"), ([odd], "says 'both' about physics"),
        ([good, good], "are of the same rater, x"),
        ([tmp_path / "none.json"], "cannot be read as answers"),
    ):  # fmt: skip
        with pytest.raises(BadInput, match=re.escape(message)):
            read_answers(paths, study)


def test_runs_without_clips_or_without_a_common_question_are_told(runs, tmp_path):
    other = write_system(tmp_path / "other", "other", 9, {"else-9": "Else."})
    for paths, options, message in (
        ((runs[0], other), {}, "have no question in common"),
        ((runs[0], tmp_path / "none"), {}, "has no generated clips"),
        (runs, {"task": "cond"}, "has no generated clips"),
        (runs, {"pairs": 0}, "--pairs is 0; give at least 1."),
    ):
        with pytest.raises(BadInput, match=message):
            make_study(*paths, **options)
    one = next((other / "predictions").glob("*/*/*/about.json"))
    one.write_text("{")
    with pytest.raises(BadInput, match="is damaged"):
        make_study(other, other)


def test_answers_of_the_page_are_of_the_form_that_is_read(runs):
    """The page's script writes the keys that answers.py reads; a browser was driven through it by hand as well."""
    from openuni.benchmark.study.page import _file

    script = _file("page.js")
    assert "{ format, study, rater: state.rater, answers: given }" in script and "pair: pair.dataset.pair" in script
    assert Counter(re.findall(r'\("(left|same|right)",', _file("page.html"))) == {"left": 1, "same": 1, "right": 1}
