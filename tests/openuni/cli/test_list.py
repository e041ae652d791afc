"""openuni list: rows come from the tables; filters give one row for each score."""

import json
import sys
from importlib import import_module
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from openuni import table
from openuni.engine.stage import Column, Needs, Stage
from openuni.errors import UnknownName

module = import_module("openuni.cli.list")


class Sharpness(Stage):
    """Sharpness of the frames.

    More text that the list does not show.
    """

    name = "sharpness"
    modality = "depth"
    licence = "Apache-2.0"
    reads = ("flow",)
    needs = Needs(cpus=2, gpus=1, vram_gb=8)
    columns = (Column("mean", "0-1", "mean over frames"), Column("worst", "0-1", "lowest of all frames"))


@pytest.fixture
def parts(monkeypatch):
    """One part of our own in the tables of filters, sources and experts."""
    monkeypatch.setitem(sys.modules, "parts_of_a_test", ModuleType("parts_of_a_test"))
    sys.modules["parts_of_a_test"].Sharpness = Sharpness
    for kind in ("filters", "sources", "experts"):
        describe = module.KINDS[kind][1]
        monkeypatch.setitem(module.KINDS, kind, ({"sharp": "parts_of_a_test:Sharpness"}, describe))


@pytest.fixture
def app():
    app = typer.Typer()
    app.command()(module.list_parts)
    return app


def test_a_filter_gives_one_row_for_each_score_named_as_rules_write_it(parts):
    assert module.rows("filters") == [
        {"score": "sharpness.mean", "unit": "0-1", "meaning": "mean over frames", "preset_rules": ""},
        {"score": "sharpness.worst", "unit": "0-1", "meaning": "lowest of all frames", "preset_rules": ""},
    ]


def test_a_score_shows_the_rules_that_presets_have_for_it():
    rows = {row["score"]: row["preset_rules"] for row in module.rows("filters")}
    assert rows["duration.seconds"] == "paper: duration.seconds >= 5; basic: duration.seconds >= 1"
    assert rows["motion.absdiff"] == ""


def test_an_expert_says_modality_licence_and_needs(parts):
    assert module.rows("experts") == [
        {
            "expert": "sharp",
            "modality": "depth",
            "licence": "Apache-2.0",
            "needs": "2 CPU, 1 GPU (8 GB)",
            "reads": "flow",
            "what_it_is": "Sharpness of the frames.",
        }
    ]


def test_a_source_shows_the_first_line_of_its_docstring(parts):
    assert module.rows("sources") == [{"source": "sharp", "what_it_is": "Sharpness of the frames."}]


def test_an_unknown_kind_proposes_the_nearest():
    with pytest.raises(UnknownName, match=r"Unknown kind of part 'filter'\. Did you mean 'filters'"):
        module.rows("filter")


@pytest.mark.parametrize("kind", sorted(module.KINDS))
def test_every_row_of_the_real_tables_can_be_listed(kind):
    names, _ = module.KINDS[kind]
    rows = module.rows(kind)
    first = [next(iter(row.values())) for row in rows]
    # A score begins with its filter's or check's name.
    assert {one if one in names else one.partition(".")[0] for one in first} == set(names)
    assert len({tuple(row) for row in rows}) == 1  # one set of keys
    assert all(isinstance(value, str) for row in rows for value in row.values())
    what_must_be_said = {"what_it_is", "meaning", "unit", "licence", "prompts", "members"}
    assert [row for row in rows if not all(row[key] for key in what_must_be_said & row.keys())] == []


def test_json_is_what_rows_gives(parts, app):
    result = CliRunner().invoke(app, ["filters", "--json"])
    assert json.loads(result.stdout) == module.rows("filters")


def test_without_a_kind_all_names_are_listed(app):
    result = CliRunner().invoke(app, ["--json"])
    assert {row["kind"]: row["names"] for row in json.loads(result.stdout)} == {
        "modalities": ", ".join(table.MODALITIES),
        "sources": ", ".join(table.SOURCES),
        "filters": ", ".join(table.FILTERS),
        "experts": ", ".join(table.ANNOTATORS),
        "checks": ", ".join(table.CHECKS),
        "metrics": ", ".join(table.METRICS),
        "presets": ", ".join(table.PRESETS),
        "models": ", ".join(table.MODEL_PRESETS),
    }


def test_presets_of_builds_and_of_networks_are_listed_together(app):
    result = CliRunner().invoke(app, ["presets", "--json"])
    names = {row["preset"] for row in json.loads(result.stdout)}
    assert names == {*table.PRESETS, *table.MODEL_PRESETS}


def test_the_table_shows_brackets_as_they_are(parts, app, monkeypatch):
    monkeypatch.setattr(Sharpness, "columns", (Column("mean", "[0, 1]", "mean over [red] frames"),))
    result = CliRunner().invoke(app, ["filters"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "[0, 1]" in result.output
    assert "mean over [red] frames" in result.output
