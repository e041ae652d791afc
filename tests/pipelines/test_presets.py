"""Presets: every rule can be read, and every column it names is a column of a filter."""

import pytest

from openuni.errors import UnknownName
from openuni.pipelines.filters.duration import DurationFilter
from openuni.pipelines.filters.motion import MotionFilter
from openuni.pipelines.filters.published import PublishedScores
from openuni.pipelines.filters.resolution import ResolutionFilter
from openuni.pipelines.presets import PRESETS, rules_of
from openuni.rule import Rule, failing, select

FILTERS = (DurationFilter, ResolutionFilter, MotionFilter, PublishedScores)
COLUMNS = {f"{f.name}.{column.name}" for f in FILTERS for column in f.columns}


@pytest.mark.parametrize("text", [text for rules in PRESETS.values() for text in rules])
def test_every_rule_of_a_preset_reads_columns_that_a_filter_gives(text):
    assert set(Rule(text).columns) <= COLUMNS


def test_paper_preset_holds_exactly_the_two_thresholds_that_the_paper_gives_and_we_can_score():
    assert rules_of("paper") == ("duration.seconds >= 5", "resolution.short_side_px > 512")


def test_paper_preset_keeps_five_seconds_and_drops_512_px():
    table = {"duration.seconds": [5.0, 4.99, 9.0], "resolution.short_side_px": [720, 720, 512]}
    rules = [Rule(text) for text in rules_of("paper")]
    assert select(rules, table).tolist() == [True, False, False]
    assert failing(rules, table) == [[], ["duration.seconds >= 5"], ["resolution.short_side_px > 512"]]


def test_none_preset_keeps_everything():
    assert rules_of("none") == ()


def test_a_wrong_preset_is_answered_with_the_nearest_name():
    with pytest.raises(UnknownName, match=r"'papers'. Did you mean 'paper'\? Known: basic, none, paper."):
        rules_of("papers")
