"""Letters are found, what stays counts double, and texture is not taken for text."""

import numpy as np
import pytest

from openuni.pipelines.filters.text import TextFilter
from tests.pipelines.filter_cases import ODD, of_frames, texture


@pytest.fixture(scope="module")
def score():
    stage = TextFilter()
    stage.setup()
    return lambda rgb: dict(stage(of_frames(rgb)).scores)


def with_words(places, words="The quick brown fox", *, backs=(1, 2, 3), size=1.2):
    """Three stills with words at places (x, y) px, None for none, on other pictures each."""
    import cv2

    stills = []
    for place, back in zip(places, backs, strict=True):
        picture = texture(384, 640, back, sigma=12.0)
        if place is not None:
            for colour, thickness in (((0, 0, 0), 7), ((255, 255, 255), 2)):
                cv2.putText(picture, words, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thickness, cv2.LINE_AA)
        stills.append(picture)
    return np.stack(stills)


def test_a_subtitle_fails_the_papers_rule_and_a_picture_without_text_passes_it(score):
    subtitle = score(with_words([(90, 360)] * 3))
    plain = score(with_words([None] * 3))
    assert subtitle["score"] > 0.02 >= plain["score"] == 0.0  # 0.02: the preset's line
    assert subtitle["boxes"] >= 1 and plain["boxes"] == 0


def test_text_that_stays_counts_twice_and_text_that_moves_once(score):
    stays, moves = score(with_words([(90, 360)] * 3)), score(with_words([(90, 100), (90, 230), (90, 360)]))
    assert stays["stays_fraction"] == pytest.approx(stays["area_fraction"], rel=0.3)
    assert moves["stays_fraction"] == 0.0
    assert stays["score"] == pytest.approx(stays["area_fraction"] + stays["stays_fraction"])
    assert moves["score"] == pytest.approx(moves["area_fraction"])


def test_a_subtitle_in_one_still_only_shows_in_the_maximum(score):
    scores = score(with_words([None, (90, 360), None]))
    assert scores["max_fraction"] == pytest.approx(3 * scores["area_fraction"])
    assert scores["stays_fraction"] == 0.0


def test_more_text_scores_more(score):
    small, large = score(with_words([(90, 360)] * 3, size=0.8)), score(with_words([(20, 360)] * 3, size=1.6))
    assert large["area_fraction"] > small["area_fraction"] > 0


@pytest.mark.parametrize("name", ODD)
def test_odd_pictures_give_the_declared_columns(score, name):
    assert list(score(ODD[name])) == [column.name for column in TextFilter.columns]


def test_the_weights_are_part_of_the_fingerprint_and_lie_in_the_package():
    from openuni.annotators.ocr import weights_hash

    assert len(weights_hash()) == 64 and TextFilter().weights_hash == weights_hash()
