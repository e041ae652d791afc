"""Training: everything a run can be told, and the curriculum's stages."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from openuni.config import configured
from openuni.errors import BadInput, UnknownName

SCHEDULES = ("constant", "cosine")
DTYPES = ("float32", "bfloat16")
OPTIMISERS = ("adamw", "muon")


@dataclass(frozen=True, kw_only=True)
class StageOfTraining:
    """One part of a curriculum."""

    name: str
    share: float
    """Of the run's steps."""
    modalities: tuple[str, ...] | None = None
    """Trained in this stage; None: all."""
    groups: tuple[str, ...] | None = None
    """Source groups read in this stage; None: all."""
    tasks: Mapping[str, float] | None = None
    """Weights of tasks in this stage; None: the run's."""


PAPER_STAGES = (
    StageOfTraining(name="aligned", share=16 / 56, modalities=("depth", "flow", "densepose"), groups=("single_human",)),
    StageOfTraining(name="all", share=40 / 56),
)
"""UnityVideo, section 3.3: pixel-aligned modalities on single-person data for 16K steps, then all for 40K."""

TASK_STAGES = tuple(
    StageOfTraining(name=task, share=share, tasks={task: 1.0})
    for task, share in (("cond", 0.2), ("est", 0.3), ("joint", 0.5))
)
"""One task after the other instead of all at once: the rival of the paper's per-sample draw. Shares are ours."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a model is trained. `--set NAME=VALUE` changes a field."""

    steps: int = 56_000
    """Optimiser steps of the whole run: the schedule's and the stages' horizon. Paper: 56K."""
    stop_after: int | None = None
    """Stop after this step, with a checkpoint; the horizon stays. None: at `steps`."""
    batch_size: int = 32
    """Samples of a step over all ranks. Paper: 32."""
    micro_batch: int | None = None
    """Samples that go through the network at once on a rank; None: all of its own. Less needs less memory."""
    num_maps: int = 1
    """Modality streams beside RGB; 0 trains RGB alone."""
    optimiser: str = "adamw"
    """adamw (paper), or muon: Muon for the blocks' matrices and AdamW for the rest; on one rank."""
    learning_rate: float = 5e-5
    """Of AdamW. Paper: 5e-5."""
    muon_rate: float = 0.02
    """Of Muon; follows the same schedule. Its author's default."""
    foreground_weight: float = 1.0
    """Weight of the error where something is drawn, in DensePose and skeletons, whose pictures are mostly black; of a
    latent pixel if any of its pixels is drawn. The mean over a clip stays a mean."""
    new_rate: float = 10.0
    """What the learning rate is multiplied by for `modality_*` parameters. Released run: 10."""
    weight_decay: float = 0.01
    """Of matrices; vectors and tables have none."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Of AdamW."""
    warmup: int = 200
    """Steps over which the rate rises. Released run: 200."""
    schedule: str = "constant"
    """constant, or cosine to a tenth."""
    clip_norm: float = 1.0
    """The gradient's norm is cut to this."""
    ema: float = 0.9999
    """Decay of the exponential moving average of the weights, which is what is exported. Released run: .9999."""
    seed: int = 0
    """Of weights, order and all draws."""
    dtype: str = "float32"
    """Of the blocks' arithmetic; weights and optimiser are float32."""
    compile: bool = False
    """Compile each block."""
    checkpoint_activations: bool = False
    """Compute activations again in backward: less memory, a third more time."""
    replicas: int = 1
    """Copies of the weights, each shared out to world / replicas ranks (HSDP): as many as there are nodes, where the
    network between them is slow."""
    workers: int = 2
    """Processes that read, on each rank."""
    flip: float = 0.5
    """Share of clips that are mirrored."""
    save_every: int = 1000
    """Steps between checkpoints."""
    keep: int = 3
    """Checkpoints kept."""
    export_every: int = 5000
    """Steps between exports of the EMA model; the last step always has one."""
    validate_every: int = 1000
    """Steps between validations; 0: never."""
    log_every: int = 10
    """Steps between lines of the log; events.jsonl has every step."""
    stages: tuple[StageOfTraining, ...] = (StageOfTraining(name="all", share=1.0),)
    """The curriculum."""
    curriculum: bool = True
    """Whether it is followed; else all modalities of all clips from the first step."""
    staged_tasks: bool = False
    """One task after the other, in place of the curriculum."""
    tensorboard: bool = True
    """Also write for TensorBoard, if it is installed."""
    wandb: str = ""
    """Also send to this project of Weights & Biases; empty: nothing leaves the machine."""

    def __post_init__(self) -> None:
        """Check values.

        Raises:
            BadInput: a value out of range, an unknown word, stages that do not make a whole.
        """
        for name, low in (
            ("replicas", 1),
            ("steps", 1),
            ("batch_size", 1),
            ("num_maps", 0),
            ("keep", 1),
            ("save_every", 1),
            ("log_every", 1),
        ):
            if getattr(self, name) < low:
                raise BadInput(f"{name} must be at least {low}, got {getattr(self, name)}.")
        if self.stop_after is not None and not 0 < self.stop_after <= self.steps:
            raise BadInput(f"stop_after must be from 1 to steps={self.steps}, got {self.stop_after}.")
        for name in ("learning_rate", "muon_rate", "foreground_weight"):
            if not getattr(self, name) > 0:
                raise BadInput(f"{name} must be above 0, got {getattr(self, name)}.")
        if not 0 <= self.ema < 1:
            raise BadInput(f"ema must be from 0 to below 1, got {self.ema}.")
        for name, value, known in (
            ("schedule", self.schedule, SCHEDULES),
            ("dtype", self.dtype, DTYPES),
            ("optimiser", self.optimiser, OPTIMISERS),
        ):
            if value not in known:
                raise BadInput(f"{name} must be one of {', '.join(known)}, got {value!r}.")
        if not self.stages or abs(sum(stage.share for stage in self.stages) - 1) > 1e-6:
            raise BadInput(f"the stages' shares must add up to 1, got {[stage.share for stage in self.stages]}.")

    @property
    def whole_weights(self) -> bool:
        """Whether every rank holds all weights: Muon needs whole matrices."""
        return self.optimiser == "muon"

    @property
    def last(self) -> int:
        """The step at which this run ends."""
        return self.stop_after or self.steps

    @property
    def parts(self) -> tuple[StageOfTraining, ...]:
        """The stages that are followed."""
        if self.staged_tasks:
            return TASK_STAGES
        return self.stages if self.curriculum else (StageOfTraining(name="all", share=1.0),)

    def stage_at(self, step: int) -> tuple[int, StageOfTraining]:
        """Number of the stage that a step (from 0) belongs to, and the stage."""
        for number, end in enumerate(self.stage_ends()):
            if step < end:
                return number, self.parts[number]
        return len(self.parts) - 1, self.parts[-1]

    def stage_ends(self) -> list[int]:
        """The step at which each stage ends, exclusive."""
        done, ends = 0.0, []
        for stage in self.parts:
            done += stage.share
            ends.append(round(done * self.steps))
        return ends

    def rate(self, step: int) -> float:
        """Learning rate of a step (from 0), as a share of `learning_rate`."""
        import math

        rising = min(1.0, (step + 1) / max(1, self.warmup))
        if self.schedule == "constant":
            return rising
        return rising * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps))))

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """Make the config that `to_json` gave."""
        values = dict(values)
        known = {one.name for one in fields(cls)}
        for name in values:
            if name not in known:
                raise UnknownName("training setting", name, known)
        values["stages"] = tuple(_stage(one) for one in values.get("stages", []))
        if "betas" in values:
            values["betas"] = tuple(values["betas"])
        return cls(**values)


def _stage(values: Mapping[str, Any]) -> StageOfTraining:
    lists = {name: tuple(values[name]) for name in ("modalities", "groups") if values.get(name) is not None}
    return StageOfTraining(**{**values, **lists})


def changed(config: Any, texts: Sequence[str], *, parts: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Apply `--set` texts: `steps=20` to the training's config, `tasks.shift=3` to the part of that name.

    Args:
        config: TrainConfig.
        texts: as the command line gives them.
        parts: name -> another dataclass that may be set.

    Raises:
        BadInput: a text is not understood, or does not fit.
        UnknownName: no such part or parameter; proposes the nearest.
    """
    mine: dict[str, str] = {}
    theirs: dict[str, dict[str, str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        part, dot, parameter = name.strip().partition(".")
        if not equals or not part or (dot and not parameter):
            raise BadInput(f"--set {text!r} is not understood; write steps=20 or tasks.shift=3.")
        if not dot:
            mine[part] = value.strip()
        elif part in parts:
            theirs.setdefault(part, {})[parameter] = value.strip()
        else:
            raise UnknownName("part in --set", part, parts)
    new = {part: _updated(one, theirs[part], part) if part in theirs else one for part, one in parts.items()}
    return _updated(config, mine, "train"), new


def _updated(config: Any, values: Mapping[str, str], part: str) -> Any:
    """A dataclass with some fields set from text."""
    if not values:
        return config
    have = {one.name: getattr(config, one.name) for one in fields(config) if one.init}
    for name in values:
        if name not in have:
            raise UnknownName(f"parameter of {part}", name, have)
    return configured(type(config), values, part=part, **{name: have[name] for name in have if name not in values})
