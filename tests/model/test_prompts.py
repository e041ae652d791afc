import pytest

from openuni.errors import BadInput, UnknownName
from openuni.modality import modality
from openuni.model.prompts import PLACES, modality_prompt
from openuni.subjects import plural, subject_phrase, subjects_of
from openuni.table import MODALITIES


def test_without_a_draw_the_first_wording_is_the_prompt():
    assert modality_prompt("depth") == modality("depth").wordings[0]


@pytest.mark.parametrize("name", MODALITIES)
def test_draws_reach_every_wording_equally_often(name):
    wordings = modality(name).wordings
    assert [modality_prompt(name, draw=draw) for draw in range(2 * len(wordings))] == [*wordings, *wordings]


@pytest.mark.parametrize("name", MODALITIES)
def test_every_wording_has_one_place_for_a_subject(name):
    assert len(PLACES[name]) == len(modality(name).wordings)
    for wording, (words, put) in zip(modality(name).wordings, PLACES[name], strict=True):
        assert wording.count(words) == 1
        assert put.count("{}") == 1


@pytest.mark.parametrize(
    ("name", "draw", "prompt"),
    [
        ("segmentation", 0, "instance masks of two persons, one colour for each object, black background"),
        ("segmentation", 1, "two persons, each painted in a flat colour of its own"),
        ("segmentation", 2, "a segmentation of two persons"),
        ("segmentation", 3, "which pixels belong to which of two persons"),
        ("skeleton", 1, "stick figures that move like two persons"),
        ("flow", 3, "dense motion of two persons"),
        ("densepose", 1, "the surface of two persons split into coloured body parts"),
        ("depth", 2, "a video of the depth of two persons in rainbow colours"),
    ],
)
def test_a_subject_stands_where_english_wants_it(name, draw, prompt):
    assert modality_prompt(name, draw=draw, subject="two persons") == prompt


def test_an_override_is_the_whole_prompt():
    assert modality_prompt("flow", draw=3, subject="two persons", override=" raft ") == "raft"


def test_blank_words_and_negative_draws_are_refused():
    with pytest.raises(BadInput, match="The subject is blank: give words, or leave it out."):
        modality_prompt("flow", subject=" ")
    with pytest.raises(BadInput, match="The modality prompt is blank"):
        modality_prompt("flow", override="")
    with pytest.raises(BadInput, match="0 or more, got -1"):
        modality_prompt("flow", draw=-1)
    with pytest.raises(UnknownName, match="Unknown modality 'flows'. Did you mean 'flow'"):
        modality_prompt("flows")


@pytest.mark.parametrize(
    ("counts", "phrase"),
    [
        ({"person": 2}, "two persons"),
        ({"person": 1}, "one person"),
        ({"person": 2, "dog": 1}, "two persons and one dog"),
        ({"person": 2, "dog": 0, "bus": 3, "child": 12}, "two persons, three buses and twelve children"),
        ({"object": 13}, "13 objects"),
        ({"person": 0}, None),
        ({}, None),
    ],
)
def test_counts_become_words(counts, phrase):
    assert subject_phrase(counts) == phrase


@pytest.mark.parametrize("counts", [{"person": -1}, {"person": 1.5}, {" ": 2}, {"person": True}])
def test_counts_that_count_nothing_are_refused(counts):
    with pytest.raises(BadInput, match="nouns with whole counts of 0 or more"):
        subject_phrase(counts)


@pytest.mark.parametrize(
    ("one", "many"),
    [("berry", "berries"), ("toy", "toys"), ("box", "boxes"), ("snowman", "snowmen"), ("woman", "women"),
     ("human", "humans"), ("tennis racket", "tennis rackets"), ("wine glass", "wine glasses"), ("skis", "skis"),
     ("mongoose", "mongooses"), ("computer mouse", "computer mice")],
)  # fmt: skip
def test_plurals_follow_english(one, many):
    assert plural(one) == many


def test_a_samples_json_says_its_subjects_at_the_top_of_its_clip_or_in_its_facts():
    assert subjects_of({"subjects": "one dog", "facts": {"subjects": "two dogs"}}) == "one dog"
    assert subjects_of({"clip": {"subjects": "two persons"}}) == "two persons"
    assert subjects_of({"facts": {"subjects": "one cat"}}) == "one cat"
    assert subjects_of({"clip": {}, "facts": {"subjects": None}}) == ""
