"""Redecide: apply rules to a finished build, from its ledgers alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from openuni.errors import BadInput
from openuni.pipelines.conclude import conclude
from openuni.pipelines.decision import Decision, check_columns, decide, read_decision
from openuni.pipelines.finish import annotated
from openuni.pipelines.funnel import Funnel, make_funnel
from openuni.pipelines.manifest import read_passes
from openuni.pipelines.select import select
from openuni.run import RunFolder


class Redecided(NamedTuple):
    """What came of it."""

    decision: Decision
    decided: bool
    """Whether the decision is another one than before."""
    funnel: Funnel
    clips: int
    """Samples in the index."""


def redecide(
    out: Path,
    *,
    preset: str | None = None,
    rules: Sequence[str] = (),
    accept: Mapping[str, tuple[str, ...]] | None = None,
    root: Path | None = None,
    pictures: bool = True,
    dry_run: bool = False,
) -> Redecided:
    """Decide a build anew; without rules, apply the decision that is in force.

    Args:
        out: the build's folder.
        preset: name in PRESETS; None keeps the one in force.
        rules: for clips, besides the preset's; they take the place of those in force.
        accept: modality -> acceptance rules, likewise.
        root: where the videos lie now, for the report's pictures; None: where they lay when the build ran.
        pictures: put pictures into the report.
        dry_run: count only, and write nothing.

    Raises:
        BadInput: the folder is no finished build; a rule cannot be read or names what the build does not have.
    """
    out = out.absolute()
    passes = read_passes(out)
    before = read_decision(out)
    decision = decide(before, default_preset="none", preset=preset, rules=tuple(rules), accept=accept or {})
    clip_rules, map_rules = decision.clip_rules(), decision.map_rules(passes.annotate)
    check_columns(clip_rules, passes.score.column_names())
    if dry_run:
        selection = select(passes.score, clip_rules)
        there = annotated(passes.annotate, selection.clip_ids, map_rules)
        funnel = make_funnel(passes, selection, there, map_rules)
        return Redecided(decision, decision != before, funnel, funnel.steps[-1].clips)
    if root is not None and not root.is_dir():
        raise BadInput(f"{root} is no folder; --root wants the folder that the clips' paths start from.")
    with RunFolder(out, "build") as folder:
        selection = select(passes.score, clip_rules)
        recorded = folder.read().get("config", {}).get("base")
        base = root.absolute() if root else Path(recorded) if recorded else None
        # The decision first: whatever happens next, the next build goes by it.
        decision.write(out, "openuni funnel")
        concluded = conclude(passes, decision, selection, base=base, pictures=pictures)
        folder.event("decided", clips=concluded.finished.clips, rules=[rule.text for rule in clip_rules])
    return Redecided(decision, decision != before, concluded.funnel, concluded.finished.clips)
