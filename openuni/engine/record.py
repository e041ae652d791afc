"""Records: what is known of a finished run's passes and stages without their code, so that ledgers can be read alone.

A build's manifest holds them; whatever re-decides or reports works on records and imports no stage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from openuni.engine.job import Job
from openuni.engine.joined import UNIT, stamps
from openuni.engine.ledger import Commit, ledger_path, read_ledger
from openuni.engine.stage import Column, Stage
from openuni.engine.unit import Plan

WHO = ("clip_id", "source", "source_key", "source_video", "group")
"""Columns that the ledgers of all stages of a pass have in common."""
WHAT = ("status", "reason", "error", "seconds", "offset", "size")
"""Columns that each stage has of its own, besides its scores."""


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """One stage as it was run."""

    name: str
    fingerprint: str
    class_name: str = ""
    expert: str = ""
    version: str = ""
    licence: str = ""
    weights_sha256: str = ""
    modality: str | None = None
    judges: str = ""
    reads: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, stage: Stage, fingerprint: str) -> "StageRecord":
        """Describe a stage of a job."""
        return cls(
            name=stage.name,
            fingerprint=fingerprint,
            class_name=f"{type(stage).__module__}.{type(stage).__qualname__}",
            expert=stage.expert,
            version=stage.version,
            licence=stage.licence,
            weights_sha256=stage.weights_hash,
            modality=stage.modality,
            judges=stage.judges,
            reads=tuple(stage.reads),
            columns=tuple(stage.columns),
            parameters=stage.parameters(),
        )

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dict; columns become [name, unit, meaning]."""
        return {**asdict(self), "columns": [list(column) for column in self.columns], "reads": list(self.reads)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "StageRecord":
        """Read what `to_json` gave.

        Raises:
            KeyError, TypeError: it is something else.
        """
        columns = tuple(Column(*column) for column in value["columns"])
        return cls(**{**value, "columns": columns, "reads": tuple(value["reads"])})


@dataclass(frozen=True)
class PassRecord:
    """The stages of one pass, and where its ledgers lie."""

    name: str
    out: Path
    stages: tuple[StageRecord, ...]

    @classmethod
    def of(cls, job: Job) -> "PassRecord":
        """Describe a job."""
        stages = tuple(StageRecord.of(stage, job.fingerprints[stage.name]) for stage in job.stages)
        return cls(job.name, job.out, stages)

    @property
    def plan(self) -> Plan:
        """The pass's units."""
        return Plan(self.out / "plan" / self.name)

    def committed(self) -> list[str]:
        """Return the units that every stage has committed, sorted."""
        units = set(stamps(self.plan.folder))
        for stage in self.stages:
            units &= stamps(ledger_path(self.out, stage.name, stage.fingerprint, "x").parent).keys()
        return sorted(units)

    def column_names(self) -> list[str]:
        """Return all score columns as rules write them: "duration.seconds"."""
        return [f"{stage.name}.{column.name}" for stage in self.stages for column in stage.columns]

    def table(self, scores: Sequence[str] | None = None, *, units: Sequence[str] | None = None) -> pa.Table:
        """Join the ledgers of all stages over the units that all have committed.

        Args:
            scores: which score columns to read, "stage.score"; None reads all.
            units: what `committed` gave, for callers that need it too; None asks it.

        Returns:
            One row per clip in planning order: WHO, "unit", and for each stage "<stage>:<column>" for WHAT and
            "<stage>.<score>" for its scores (a rule can name the latter only).
        """
        units = self.committed() if units is None else units
        columns: dict[str, Any] = {}
        for stage in self.stages:
            own = [f"{stage.name}.{column.name}" for column in stage.columns]
            own = [name for name in own if scores is None or name in scores]
            who = [] if columns else [name for name in WHO if name != "clip_id"]
            read = ["clip_id", *who, *WHAT, *own]
            table, _ = read_ledger(self.out, stage, stage.fingerprint, units, columns=read)
            if not columns:
                columns = {name: table[name] for name in (*WHO, UNIT)}
            assert columns["clip_id"].equals(table["clip_id"]), f"ledger of {stage.name} lists other clips"
            columns |= {f"{stage.name}:{name}": table[name] for name in WHAT}
            columns |= {name: table[name] for name in own}
        return pa.table(columns)

    def commits(self, stage: StageRecord, units: Sequence[str]) -> list[tuple[Commit, int]]:
        """Return the Commit and number of clips of each of `units`, which are what `committed` gave."""
        table, commits = read_ledger(self.out, stage, stage.fingerprint, units, columns=[])
        counts = {entry["values"]: entry["counts"] for entry in table[UNIT].value_counts().to_pylist()}
        return [(commit, counts[commit.unit]) for commit in commits]
