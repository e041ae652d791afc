"""The card is read by the Hub's own reader, the Croissant file by MLCommons'; hostile words stay words."""

import dataclasses
import json

import pytest

from openuni.pipelines.card import card
from openuni.pipelines.conclude import conclude
from openuni.pipelines.decision import Decision
from openuni.pipelines.select import select
from tests.pipelines.ledger_cases import make_ledgers


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("card") / "my set"
    passes = make_ledgers(out, count=60)
    decision = Decision(
        preset="none", rules=("duration.seconds >= 4",), accept={"flow": ("flow.valid_fraction > 0.5",)}
    )
    return passes, conclude(passes, decision, select(passes.score, decision.clip_rules()), base=None)


def test_the_hub_reads_the_front_matter(made):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    passes, _ = made
    data = huggingface_hub.DatasetCard.load(passes.score.out / "README.md").data
    assert data.pretty_name == "my set" and data.size_categories == ["n<1K"]
    assert data.task_categories == ["text-to-video"] and "flow" in data.tags
    configs = {config["config_name"]: config["data_files"] for config in data.configs}
    assert configs["index"] == "index.parquet"
    assert configs["flow"] == f"shards/flow/{passes.annotate.stages[1].fingerprint}/*.tar"


def test_the_text_tells_sources_experts_and_what_was_dropped(made):
    passes, concluded = made
    text = (passes.score.out / "README.md").read_text()
    assert "- **folder** (" in text and "CC-BY-4.0" in text and "licence not told by the source" not in text
    assert f"| flow | flow-test | 1 | Apache-2.0 | none | {concluded.finished.modalities['flow']['ok']} |" in text
    assert "- flow: `flow.valid_fraction > 0.5`" in text
    row = concluded.funnel.rules[0]
    assert f"| `duration.seconds >= 4` | {concluded.funnel.steps[2].clips} |" in text and f"| {row.against} |" in text
    assert "- 1 clips: decode\\_failed" in text


def test_mlcommons_reads_the_croissant_file_and_its_records_are_the_index(made):
    croissant = pytest.importorskip("mlcroissant")
    import pyarrow.parquet as pq

    out = made[0].score.out
    dataset = croissant.Dataset(str(out / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    records = list(dataset.records("samples"))
    rows = pq.read_table(out / "index.parquet").to_pylist()
    assert [record["samples/key"].decode() for record in records] == [row["key"] for row in rows]
    assert [record["samples/flow.valid_fraction"] for record in records] == pytest.approx(
        [row["flow.valid_fraction"] for row in rows], nan_ok=True
    )


def test_hostile_names_stay_words(made):
    passes, concluded = made
    licence = "x |\n# <img src=x onerror=alert(1)> *bold* `code` [l](http://e)"
    text = card(passes, concluded.funnel, [("so<b>urce", licence, 3)], concluded.finished)
    body = text.split("---\n", 2)[2]
    assert "<img" not in body and "<b>" not in body and "\n# &lt;" not in body
    line = next(line for line in body.splitlines() if line.startswith("- **so"))
    assert line.endswith("\\[l\\](http://e)") and "\\*bold\\*" in line and "\\|" in line


def test_an_empty_build_has_a_card_all_the_same(tmp_path):
    passes = make_ledgers(tmp_path / "out", count=8)
    decision = Decision(preset="none", rules=("duration.seconds > 1000",))
    concluded = conclude(passes, decision, select(passes.score, decision.clip_rules()), base=None)
    assert concluded.finished.clips == 0
    assert "0 clips, 0.00 hours" in (tmp_path / "out" / "README.md").read_text()
    json.loads((tmp_path / "out" / "croissant.json").read_text())


def test_sizes_are_the_hubs_categories(made):
    passes, concluded = made
    for clips, category in ((999, "n<1K"), (1000, "1K<n<10K"), (999_999, "100K<n<1M"), (1_000_000, "1M<n<10M")):
        finished = concluded.finished._replace(clips=clips)
        assert f"- {category}\n" in card(passes, dataclasses.replace(concluded.funnel), [], finished)
