"""Text filter: pictures whose words and their places are known, and decisions about boxes with a scripted OCR."""

import logging
from importlib import util
from types import SimpleNamespace

import numpy as np
import pytest

from openuni.annotators import ocr
from openuni.annotators.ocr import Boxes, Reading
from openuni.clip import Clip
from openuni.engine.stage import fingerprint
from openuni.errors import BadInput, MissingWeights
from openuni.pipelines.filters.text import TextFilter, text_mask
from openuni.pipelines.score_view import OpenForScoring
from openuni.rule import Rule
from openuni.video import encode_rgb_mp4
from tests.pipelines.text_pictures import HEIGHT, WIDTH, moving_scenery, scenery, stamp, write

SUGGESTED = (Rule("text.score <= 0.02"), Rule("text.max_fraction <= 0.02"))
"""The first is in the preset `paper`; the second drops subtitles that come and go."""


@pytest.fixture(scope="module")
def stage():
    """The filter with its networks, loaded once."""
    stage = TextFilter()
    stage.setup()
    return stage


def score(stage, stills):
    return dict(stage(SimpleNamespace(stills=SimpleNamespace(rgb=np.asarray(stills)))).scores)


def kept(scores):
    table = {f"text.{name}": np.array([value], dtype=np.float64) for name, value in scores.items()}
    return all(rule.evaluate(table).true[0] for rule in SUGGESTED)


def test_a_subtitle_that_stays_is_measured_and_falls_to_the_suggested_rule(stage):
    stills = moving_scenery(1)
    for still in stills:
        box = write(still, "What did you see in the water?", at=(150, 255))
    scores = score(stage, stills)
    share = box.area / (HEIGHT * WIDTH)
    # The detector grows its boxes by about a third of a letter's height on each side.
    assert share < scores["area_fraction"] < 2 * share
    assert scores["stays_fraction"] == pytest.approx(scores["area_fraction"], rel=0.1)
    assert scores["score"] == pytest.approx(scores["area_fraction"] + scores["stays_fraction"])
    assert scores["boxes"] == 1
    assert scores["score"] > 0.02
    assert not kept(scores)


def test_the_same_scenery_without_words_has_none(stage):
    scores = score(stage, moving_scenery(1))
    assert scores == dict.fromkeys(("area_fraction", "max_fraction", "stays_fraction", "boxes", "score"), 0)
    assert kept(scores)


def test_words_that_move_with_the_scene_do_not_stay_and_are_kept(stage):
    stills = moving_scenery(2)
    for still, x in zip(stills, (380, 230, 80), strict=True):
        write(still, "BAKERY", at=(x, 120), size_px=16, fill="black")
    scores = score(stage, stills)
    assert scores["stays_fraction"] == 0
    assert scores["boxes"] == 1
    assert 0.003 < scores["score"] == scores["area_fraction"]
    assert kept(scores)


def test_a_subtitle_in_one_of_three_stills_shows_in_the_maximum(stage):
    stills = moving_scenery(3)
    write(stills[1], "What did you see in the water? Was it a fish?", at=(90, 255))
    scores = score(stage, stills)
    assert scores["max_fraction"] == pytest.approx(3 * scores["area_fraction"])
    assert scores["stays_fraction"] == 0
    assert not kept(scores)


def test_a_page_of_small_text_is_mostly_text(stage):
    page = np.full((HEIGHT, WIDTH, 3), 250, np.uint8)
    for y in range(20, 270, 16):
        write(page, "clips frames score text share mean still boxes area rule", at=(30, y), size_px=11, fill="black")
    scores = score(stage, [page, page])
    assert scores["area_fraction"] > 0.3
    assert scores["stays_fraction"] == scores["area_fraction"]


@pytest.mark.parametrize(("script", "turned"), [("chinese", False), ("chinese", True), ("arabic", False)])
def test_other_scripts_and_vertical_lines_are_text(stage, script, turned):
    still = scenery(4)
    box = stamp(still, script, at=(40, 100) if turned else (200, 240), turned=turned)
    mask = text_mask(stage.find_text(still), still.shape[:2])
    assert mask[box.top : box.bottom, box.left : box.right].mean() > 0.9
    assert mask.sum() < 2.5 * box.area


def test_slanted_text_and_text_at_the_border_are_found(stage):
    import cv2

    slanted = scenery(5)
    cv2.putText(slanted, "SEASIDE HOTEL", (60, 150), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 2, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), 20, 1)
    slanted = cv2.warpAffine(slanted, turn, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    (corners,) = stage.find_text(slanted)
    across = corners[1] - corners[0]
    assert np.degrees(np.arctan2(-across[1], across[0])) == pytest.approx(20, abs=3)  # of a box some 30 px thick

    cut = scenery(6)
    box = write(cut, "Channel Seven", at=(-12, HEIGHT - 7))
    mask = text_mask(stage.find_text(cut), cut.shape[:2])
    assert mask[box.top : HEIGHT, : box.right].mean() > 0.8


def test_one_still_tells_the_area_but_not_what_stays(stage):
    still = scenery(1)
    write(still, "What did you see in the water?", at=(150, 255))
    scores = score(stage, [still])
    assert scores["area_fraction"] == scores["max_fraction"] > 0.01
    assert scores["stays_fraction"] is None and scores["score"] is None
    assert set(score(stage, np.zeros((0, 64, 64, 3), np.uint8)).values()) == {None}


@pytest.mark.parametrize("shape", [(1, 1), (8, 1000), (1000, 8), (33, 47)])
def test_odd_shapes_noise_and_flat_pictures_have_no_text(stage, shape):
    noise = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    for stills in (noise, np.full((2, *shape, 3), 90, np.uint8)):
        scores = score(stage, stills)
        assert scores["area_fraction"] == scores["score"] == 0


def test_scores_are_the_declared_columns_and_the_same_in_a_second_run(stage):
    still = scenery(7)
    write(still, "Twice the same", at=(150, 200))
    first, second = score(stage, [still, still]), score(stage, [still, still])
    assert first == second
    assert list(first) == [column.name for column in stage.columns]
    assert all(column.unit and column.meaning for column in stage.columns)


def test_setting_up_and_scoring_write_nothing_and_leave_logging_alone(capfd):
    loggers, handlers = set(logging.root.manager.loggerDict), list(logging.root.handlers)
    stage = TextFilter()
    stage.setup()
    stage.find_text(np.zeros((32, 32, 3), np.uint8))
    assert capfd.readouterr() == ("", "")
    assert logging.root.handlers == handlers
    assert not any("rapid" in name.lower() for name in set(logging.root.manager.loggerDict) - loggers)


def test_the_networks_use_one_thread_and_their_hash_is_in_the_fingerprint(stage, monkeypatch):
    for session in (stage._ocr._detector, stage._ocr._recogniser):
        options = session.get_session_options()
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert len(stage.weights_hash) == 64
    before = fingerprint(stage, read={})
    monkeypatch.setattr(stage, "weights_hash", "0" * 64)
    assert fingerprint(stage, read={}) != before


@pytest.mark.parametrize("package", ["rapidocr", "onnxruntime"])
def test_a_missing_package_is_one_line_with_the_command(monkeypatch, package):
    find = util.find_spec
    monkeypatch.setattr(ocr, "find_spec", lambda name: None if name == package else find(name))
    ocr.weights_hash.cache_clear()
    with pytest.raises(BadInput, match=f"needs the package {package}, which is not installed. Run: pip install"):
        TextFilter()


def test_missing_weights_are_one_line_with_the_place_and_the_command(monkeypatch, tmp_path):
    (tmp_path / "models").mkdir()
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(ocr, "find_spec", lambda name: spec)
    ocr.weights_hash.cache_clear()
    with pytest.raises(MissingWeights, match=f"PP-OCRv6_.*is not in {tmp_path}/models. Run: pip install 'rapidocr"):
        TextFilter()


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(BadInput, match="text.max_stills must be 1 or more, got 0"):
        TextFilter(max_stills=0)


def test_a_coded_clip_is_scored_through_the_builds_own_view(stage, tmp_path):
    frames = moving_scenery(8, count=6)
    for frame in frames:
        write(frame, "What did you see in the water?", at=(150, 255))
    (tmp_path / "k.mp4").write_bytes(encode_rgb_mp4(frames, fps=2, crf=28))
    clip = Clip(clip_id="0", source="folder", source_key="k", source_video="k", path="k.mp4")
    scores = stage(OpenForScoring(str(tmp_path))(clip)).scores
    assert scores["stays_fraction"] > 0.01
    assert scores["boxes"] == 1


class Scripted:
    """An OCR with given boxes, (left, top, right, bottom), their scores and what they say; notes what it was asked."""

    def __init__(self, *found):
        self.found, self.asked = found, []

    def detect(self, rgb, *, short_side_px):
        corners = [[(x, y), (right, y), (right, bottom), (x, bottom)] for (x, y, right, bottom), _, _ in self.found]
        scores = np.array([score for _, score, _ in self.found], np.float32)
        return Boxes(np.array(corners, np.float32).reshape(-1, 4, 2), scores)

    def read(self, rgb, corners):
        index = [(*corners[0], *corners[2]) == box for box, _, _ in self.found].index(True)
        self.asked.append(index)
        return Reading(*self.found[index][2])


def found_by(scripted, **options):
    stage = TextFilter(**options)
    stage._ocr = scripted
    corners = stage.find_text(np.zeros((100, 200, 3), np.uint8))
    boxes = {tuple(map(float, (*box[0], *box[2]))) for box in corners}
    return [index for index, (box, _, _) in enumerate(scripted.found) if box in boxes]


def test_a_line_is_text_unread_and_anything_shorter_must_be_read():
    unreadable = ("", 0.0)
    scripted = Scripted(
        ((0, 0, 80, 20), 0.5, unreadable),  # four times as long as thick
        ((0, 20, 20, 100), 0.5, unreadable),  # the same, upright
        ((0, 0, 79, 20), 0.9, unreadable),  # shorter
        ((100, 0, 180, 20), 0.49, unreadable),  # less sure
        ((0, 0, 90, 21), 0.9, unreadable),  # thicker than 0.2 of the shorter side
        ((0, 0, 30, 40), 0.3, ("No", 0.8)),
        ((0, 0, 30, 39), 0.3, ("No", 0.79)),
        ((0, 0, 30, 38), 0.9, ("N.*!", 0.99)),  # one letter
        ((0, 0, 60, 41), 0.9, ("Huge", 0.99)),  # thicker than 0.4: not even read
    )
    assert found_by(scripted) == [0, 1, 5]
    assert scripted.asked == [4, 3, 2, 5, 6, 7]  # largest first


@pytest.mark.parametrize(("text", "rest_is_text"), [("yes", True), ("", False)])
def test_more_boxes_than_are_read_follow_those_that_were(text, rest_is_text):
    boxes = [((0, 0, 10 + number, 10), 0.6, (text, 0.9)) for number in range(6)]
    scripted = Scripted(*boxes)
    assert found_by(scripted, max_read=2) == (list(range(6)) if rest_is_text else [])
    assert scripted.asked == [5, 4]


def test_stays_is_what_most_stills_share_and_the_score_weighs_it():
    def line(left):
        return Scripted(((left, 10, left + 80, 30), 0.9, ("", 0.0)))

    stage = TextFilter(stays_weight=2.0)
    turns = iter([line(0), line(40), line(110)])
    stage.find_text = lambda rgb: (setattr(stage, "_ocr", next(turns)), TextFilter.find_text(stage, rgb))[1]
    scores = score(stage, np.zeros((3, 100, 200, 3), np.uint8))
    # Filled polygons include their border: 81 x 21 pixels each. Two share columns 40 to 80, two 110 to 120.
    assert scores["area_fraction"] == pytest.approx(81 * 21 / 20000)
    assert scores["max_fraction"] == scores["area_fraction"]
    assert scores["stays_fraction"] == pytest.approx((41 + 11) * 21 / 20000)
    assert scores["score"] == scores["area_fraction"] + 2 * scores["stays_fraction"]


@pytest.mark.parametrize(("max_stills", "looked_at"), [(1, [1]), (2, [0, 2]), (3, [0, 1, 2])])
def test_fewer_stills_are_the_middle_one_or_the_outer_two(max_stills, looked_at):
    stage, seen = TextFilter(max_stills=max_stills), []
    stage.find_text = lambda rgb: (seen.append(int(rgb[0, 0, 0])), np.zeros((0, 4, 2), np.float32))[1]
    score(stage, np.arange(3, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 20, 30, 3), np.uint8))
    assert seen == looked_at


def test_boxes_that_overlap_count_once():
    square = np.array([[0, 0], [9, 0], [9, 9], [0, 9]], np.float32)
    assert text_mask(np.stack([square, square + 5]), (30, 30)).sum() == 100 + 100 - 25
