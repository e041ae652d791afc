"""Retry: open committed units again for the clips that failed, keeping what the others gave."""

import json
from collections.abc import Collection

from openuni.engine.job import Job
from openuni.engine.ledger import STATUSES, ledger_path, read_rows, shard_path
from openuni.engine.scratch import Outcome, Scratch
from openuni.engine.stage import Stage
from openuni.engine.unit import Unit
from openuni.errors import UnknownName
from openuni.sample import json_member
from openuni.shard import Span, read_sample

RETRIED = ("error", "crash")


def check_statuses(statuses: Collection[str]) -> None:
    """Raise UnknownName unless all statuses can be retried."""
    for status in statuses:
        if status not in RETRIED:
            raise UnknownName("status in --retry", status, RETRIED)


def reopen(job: Job, statuses: Collection[str]) -> int:
    """Make the clips of some statuses, and what reads them, undone again.

    The other clips of their units go back to scratch, so that only the failed ones are worked on; then the ledgers
    are removed. The shards stay until they are replaced.

    Args:
        job: the pass.
        statuses: of STATUSES: "error", "crash".

    Returns:
        How many (stage, clip) pairs will run again.
    """
    assert set(statuses) <= set(STATUSES), f"unknown statuses {statuses}"
    return sum(_reopen_unit(job, job.plan.read(name), statuses) for name in job.plan.names() if statuses)


def _reopen_unit(job: Job, unit: Unit, statuses: Collection[str]) -> int:
    """Do one unit; return its number of (stage, clip) pairs."""
    again: dict[str, set[str]] = {}
    rows = {}
    for stage in job.stages:
        path = ledger_path(job.out, stage.name, job.fingerprints[stage.name], unit.name)
        if not path.exists():
            continue
        rows[stage.name] = read_rows(path, stage)
        failed = {clip_id for clip_id, row in rows[stage.name].items() if row.status in statuses}
        again[stage.name] = failed.union(*(again.get(name, set()) for name in stage.reads))
    stages = [stage for stage in job.stages if again.get(stage.name)]
    if not stages:
        return 0
    scratch = Scratch(job.scratch(unit.name))
    for clip in unit.clips:
        kept = {}
        for stage in stages:
            if clip.clip_id not in again[stage.name]:
                row = rows[stage.name][clip.clip_id]
                members = _members(job, stage, unit.name, row.offset, row.size)
                kept[stage.name] = Outcome(job.fingerprints[stage.name], row, members, _facts(stage, members))
        if kept:
            scratch.save(clip.clip_id, kept)
    for stage in stages:
        ledger_path(job.out, stage.name, job.fingerprints[stage.name], unit.name).unlink()
    return sum(len(again[stage.name]) for stage in stages)


def _members(job: Job, stage: Stage, unit: str, offset: int | None, size: int | None) -> dict[str, bytes]:
    if stage.modality is None or offset is None or size is None:
        return {}
    return read_sample(shard_path(job.out, stage.modality, job.fingerprints[stage.name], unit), Span(offset, size))


def _facts(stage: Stage, members: dict[str, bytes]) -> dict[str, object]:
    if not members:
        return {}
    assert stage.modality is not None, "only stages with a modality have members"
    facts: dict[str, object] = json.loads(members[json_member(stage.modality)]).get("facts", {})
    return facts
