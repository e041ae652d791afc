"""Presets: every rule can be read, and every column it names is a column of a filter, an expert or a check."""

import numpy as np
import pytest

from openuni.errors import UnknownName
from openuni.pipelines.presets import preset
from openuni.rule import Rule
from openuni.table import ANNOTATORS, CHECKS, FILTERS, PRESETS, load

PARTS = [("filter", FILTERS), ("expert", ANNOTATORS), ("check", CHECKS)]
COLUMNS = {
    kind: {f"{cls.name}.{column.name}" for name in table for cls in [load(kind, table, name)] for column in cls.columns}
    for kind, table in PARTS
}


@pytest.mark.parametrize("text", sorted({text for name in PRESETS for text in preset(name).rules}))
def test_every_rule_of_a_preset_reads_columns_that_a_filter_gives(text):
    assert set(Rule(text).columns) <= COLUMNS["filter"]


@pytest.mark.parametrize("name", PRESETS)
def test_every_acceptance_rule_reads_columns_of_experts_and_checks(name):
    for texts in preset(name).accept.values():
        for text in texts:
            assert set(Rule(text).columns) <= COLUMNS["expert"] | COLUMNS["check"]


def test_paper_preset_keeps_five_seconds_and_drops_512_px():
    table = {"duration.seconds": [5.0, 4.99, 9.0], "resolution.short_side_px": [720, 720, 512]}
    rules = [Rule(text) for text in preset("paper").rules if set(Rule(text).columns) <= set(table)]
    assert len(rules) == 2
    answers = np.array([rule.evaluate(table).true for rule in rules])
    assert answers.tolist() == [[True, False, True], [True, True, False]]


def test_none_preset_keeps_everything():
    assert preset("none").rules == () and preset("none").accept == {}


def test_a_wrong_preset_is_answered_with_the_nearest_name():
    with pytest.raises(UnknownName, match=r"'papers'. Did you mean 'paper'\? Known: basic, none, paper."):
        preset("papers")
