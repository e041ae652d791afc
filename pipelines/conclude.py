"""Conclude: everything a build's folder says about itself, made again from its ledgers: index, manifest, report, card.

The last step of `openuni build`, and all of `openuni funnel`. It opens no shard and writes none.
"""

from dataclasses import dataclass
from pathlib import Path

from openuni.pipelines.card import write_card
from openuni.pipelines.decision import Decision
from openuni.pipelines.finish import Finished, annotated, finish
from openuni.pipelines.funnel import Funnel, make_funnel
from openuni.pipelines.manifest import Passes, shards_of, write_manifest
from openuni.pipelines.report import write_report
from openuni.pipelines.select import Selection


@dataclass(frozen=True)
class Concluded:
    """What was written, in numbers."""

    finished: Finished
    funnel: Funnel
    shards: int
    bytes: int


def conclude(
    passes: Passes, decision: Decision, selection: Selection, *, base: Path | None, pictures: bool = True
) -> Concluded:
    """Write index.parquet, manifest.json, report.html, README.md and croissant.json.

    Args:
        passes: the live stages.
        decision: the rules in force.
        selection: what its rules say of the clips, with every score column read.
        base: folder that clips' paths start from, for the report's pictures; None if it is not known.
        pictures: put pictures into the report.
    """
    rules = decision.map_rules(passes.annotate)
    there = annotated(passes.annotate, selection.clip_ids, rules)
    finished = finish(passes.annotate, there)
    funnel = make_funnel(passes, selection, there, rules)
    shards = shards_of(passes.annotate)
    every = [shard for group in shards.values() for shard in group]
    write_manifest(
        passes,
        shards,
        clips=finished.clips,
        modalities={name: dict(sorted(counts.items())) for name, counts in finished.modalities.items()},
        decision={
            "preset": decision.preset,
            "rules": [rule.text for rule in selection.rules],
            "accept": {name: [rule.text for rule in of_map] for name, of_map in rules.items()},
        },
    )
    write_report(passes, decision, funnel, selection, base=base if pictures else None)
    write_card(passes, funnel, there, finished)
    return Concluded(finished, funnel, len(every), sum(shard["bytes"] for shard in every))
