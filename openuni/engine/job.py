"""Job: one pass of stages over units, and where its parts lie."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from openuni.clip import Clip
from openuni.engine.ledger import ledger_path
from openuni.engine.stage import Stage, fingerprint
from openuni.engine.unit import Plan
from openuni.modality import Map


class View(Protocol):
    """What a stage is called with: one clip, opened. The maps it reads are filled in by the engine."""

    clip: Clip
    maps: dict[str, Map]

    def describe(self) -> dict[str, object]:
        """Return JSON-able facts of the clip as it was opened, written to the rgb sample's json."""
        ...

    def close(self) -> None:
        """Free what the view holds."""
        ...


@dataclass(frozen=True, kw_only=True)
class Job:
    """One pass: stages that share one opening of each clip. Travels to workers by pickle."""

    name: str
    """Name of the pass: the folder of its plan and scratch."""
    out: Path
    """The output folder, absolute, on a file system that all workers see."""
    stages: tuple[Stage, ...]
    """In the order they run; a stage stands behind those that it reads."""
    open_view: Callable[[Clip], View]
    """Opens a clip; raises Drop if that is impossible. Must pickle."""
    view_fingerprint: str = ""
    """Hash of what decides a view's content, part of each stage's fingerprint."""
    only: frozenset[str] | None = None
    """Names of the stages that run now; the others' maps are read from their shards. None: all run."""
    gpu_share: float | None = None
    """Share of a GPU that one worker takes; None: as much as the neediest stage says."""
    clip_timeout_s: float = 1800.0
    """A worker stuck on one clip for longer ends itself; the clip is then a suspect. Ours: 60 times a slow clip."""
    fingerprints: Mapping[str, str] = field(init=False)
    """Stage name -> fingerprint."""

    def __post_init__(self) -> None:
        known: dict[str, str] = {}
        for stage in self.stages:
            missing = [name for name in stage.reads if name not in known]
            assert not missing, f"stage {stage.name} reads {missing}, which do not run before it in pass {self.name}"
            known[stage.name] = fingerprint(stage, read=known, view=self.view_fingerprint)
        object.__setattr__(self, "fingerprints", known)

    @property
    def plan(self) -> Plan:
        """The pass's units."""
        return Plan(self.out / "plan" / self.name)

    def scratch(self, unit: str) -> Path:
        """Return the folder that holds a unit's finished clips until it is committed."""
        return self.out / "scratch" / self.name / unit

    def committed(self, stage: Stage, unit: str) -> bool:
        """Say whether (stage, unit) is done."""
        return ledger_path(self.out, stage.name, self.fingerprints[stage.name], unit).exists()

    def todo(self, unit: str) -> tuple[Stage, ...]:
        """Return the stages that run now and are not committed for a unit."""
        return tuple(stage for stage in self.running if not self.committed(stage, unit))

    @property
    def running(self) -> tuple[Stage, ...]:
        """The stages that run now."""
        return tuple(stage for stage in self.stages if self.only is None or stage.name in self.only)

    @property
    def share(self) -> tuple[float, float]:
        """CPUs and GPUs one worker takes: its stages run one after the other, so the largest need counts."""
        gpus = max(stage.needs.gpus for stage in self.running)
        if gpus and self.gpu_share is not None:
            gpus = self.gpu_share
        return max(stage.needs.cpus for stage in self.running), gpus
