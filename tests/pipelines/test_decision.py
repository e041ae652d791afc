"""The decision in a build's folder stands until a command line gives another."""

import json

import pytest

from openuni.errors import BadInput
from openuni.pipelines.decision import DECISION, Decision, decide, parse_accept, read_decision
from tests.pipelines.ledger_cases import make_ledgers


def asked(before, *, preset=None, rules=(), accept=None):
    return decide(before, default_preset="basic", preset=preset, rules=rules, accept=accept or {})


def test_a_first_decision_is_the_sources_preset():
    assert asked(None) == Decision(preset="basic")


def test_without_rules_on_the_command_line_the_kept_decision_stands():
    kept = Decision(preset="paper", rules=("a.b > 1",), accept={"flow": ("flow.x > 0",)})
    assert asked(kept) == kept


def test_rules_on_the_command_line_take_the_place_of_the_kept_ones_and_keep_the_preset():
    kept = Decision(preset="paper", rules=("a.b > 1",), accept={"flow": ("flow.x > 0",)})
    assert asked(kept, rules=("c.d < 2",)) == Decision(preset="paper", rules=("c.d < 2",))
    assert asked(kept, preset="none") == Decision(preset="none")
    assert asked(kept, accept={"depth": ("depth.x > 0",)}) == Decision(
        preset="paper", accept={"depth": ("depth.x > 0",)}
    )


def test_what_is_written_is_read_and_an_equal_decision_leaves_the_file_alone(tmp_path):
    decision = Decision(preset="none", rules=("a.b > 1", "c == 'x'"), accept={"flow": ("flow.x > 0",)})
    assert read_decision(tmp_path) is None
    decision.write(tmp_path, "openuni funnel")
    assert read_decision(tmp_path) == decision
    before = (tmp_path / DECISION).stat().st_mtime_ns
    Decision(preset="none", rules=("a.b > 1", "c == 'x'"), accept={"flow": ("flow.x > 0",)}).write(tmp_path, "x")
    assert (tmp_path / DECISION).stat().st_mtime_ns == before


@pytest.mark.parametrize("content", ["", "[]", '{"preset": 1}', '{"preset": "none", "rules": [], "accept": []}'])
def test_a_damaged_decision_is_one_line_that_says_what_to_do(tmp_path, content):
    (tmp_path / DECISION).write_text(content)
    with pytest.raises(BadInput, match="Delete it, and give --preset and --rule"):
        read_decision(tmp_path)


def test_a_rule_given_twice_counts_once():
    decision = Decision(preset="paper", rules=("duration.seconds >= 5 ", "duration.seconds >= 5"))
    texts = [rule.text for rule in decision.clip_rules()]
    assert texts.count("duration.seconds >= 5") == 1


def test_accept_takes_a_modality_and_a_rule():
    assert parse_accept(["flow: flow.x > 1", "depth:depth.y < 2", "flow: flow.z > 3"]) == {
        "flow": ("flow.x > 1", "flow.z > 3"),
        "depth": ("depth.y < 2",),
    }
    for wrong in ("flow.x > 1", "flow", ""):
        with pytest.raises(BadInput, match="write 'flow: flow_check.coverage > 0.5'"):
            parse_accept([wrong])
    with pytest.raises(BadInput, match="Rule 'x >' cannot be read"):
        parse_accept(["flow: x >"])


def test_acceptance_rules_must_fit_the_build_but_a_presets_are_left_out_where_they_do_not(tmp_path):
    annotate = make_ledgers(tmp_path, count=4).annotate
    good = Decision(preset="none", accept={"flow": ("flow_check.photometric < 0.5",)})
    assert [rule.text for rule in good.map_rules(annotate)["flow"]] == ["flow_check.photometric < 0.5"]
    with pytest.raises(BadInput, match="Unknown modality in --accept 'dept'"):
        Decision(preset="none", accept={"dept": ("flow.valid_fraction > 0",)}).map_rules(annotate)
    with pytest.raises(BadInput, match="Did you mean 'flow_check.photometric'"):
        Decision(preset="none", accept={"flow": ("flow_check.photometrik > 0",)}).map_rules(annotate)
    known = set(annotate.column_names())
    for rules in Decision(preset="basic").map_rules(annotate).values():
        assert all(set(rule.columns) <= known for rule in rules)


def test_the_file_says_who_decided_and_when(tmp_path):
    Decision(preset="none").write(tmp_path, "openuni build")
    content = json.loads((tmp_path / DECISION).read_text())
    assert content["by"] == "openuni build" and content["time"].endswith("Z")
