"""Tasks: what each sample of a batch is trained on, drawn per sample; and from that streams, targets and losses.

cond generates RGB from a clean map, est a map from clean RGB, joint both from text (UnityVideo, section 3.1). In the
paper a clean stream has t = 0 and its answer is not used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from openuni.errors import BadInput
from openuni.model.draws import Draws
from openuni.model.interpolant import interpolate, logit_normal, shifted, target
from openuni.model.network import Stream

TASKS = ("cond", "est", "joint")
ROUTINGS = ("sample", "step")
JOINT_TIMES = ("mixed", "independent", "tied")
ESTIMATION_TEXTS = ("empty", "caption")


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """How samples are drawn. Every rate that guidance at sampling relies on is here, and so in each checkpoint."""

    tasks: Mapping[str, float] = field(default_factory=lambda: {"cond": 0.2, "est": 0.3, "joint": 0.5})
    """Weights of the tasks. The paper says only cond < est < joint; .2, .3, .5 is ours. Released run: .25, .25, .5."""
    modalities: Mapping[str, float] = field(default_factory=dict)
    """Weights of modalities; ones that are not named have 1. A sample is given one of those it has."""
    routing: str = "sample"
    """sample: each has a task and a modality of its own (paper, section 3.4); step: all of one step share them
    (release)."""
    joint_time: str = "mixed"
    """Times of the streams of a joint sample: independent (paper's text), tied to one (its equation 3; what sampling
    goes through), or mixed: either with even chances. Ours."""
    estimation_text: str = "empty"
    """What RGB is captioned with in estimation: empty (paper) or the caption (release)."""
    shift: float = 3.0
    """Shift of times towards noise: 1 for tiny latents, 3 at 256 px and 480p, 5 at 720p (Wan, Stable Diffusion 3)."""
    time_mean: float = 0.0
    """Mean of the logit-normal draw, before the shift."""
    time_std: float = 1.0
    """Its standard deviation."""
    uniform_share: float = 0.1
    """Share of times drawn evenly, then shifted, so that both ends are seen. Ours."""
    noise_share: float = 0.0
    """Share of times that are exactly 1: models asked in one step see nothing else."""
    drop_caption: float = 0.1
    """Share of samples whose C_r is empty. Released run: .1."""
    drop_prompt: float = 0.05
    """Share of samples whose C_m is empty. Ours; the release never drops it."""
    drop_condition: float = 0.05
    """Share of cond and est samples whose clean stream is replaced by noise at t = 1. Ours."""

    def __post_init__(self) -> None:
        """Check values.

        Raises:
            BadInput: a share outside 0 to 1, an unknown name, no task with a weight.
        """
        for name, value, known in (
            ("routing", self.routing, ROUTINGS),
            ("joint_time", self.joint_time, JOINT_TIMES),
            ("estimation_text", self.estimation_text, ESTIMATION_TEXTS),
        ):
            if value not in known:
                raise BadInput(f"tasks.{name} must be one of {', '.join(known)}, got {value!r}.")
        for name in ("uniform_share", "noise_share", "drop_caption", "drop_prompt", "drop_condition"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"tasks.{name} must be from 0 to 1, got {getattr(self, name)}.")
        if unknown := set(self.tasks) - set(TASKS):
            raise BadInput(f"tasks.tasks has {', '.join(sorted(unknown))}; known: {', '.join(TASKS)}.")
        if min([*self.tasks.values(), *self.modalities.values()], default=0) < 0 or sum(self.tasks.values()) <= 0:
            raise BadInput(
                f"tasks.tasks and tasks.modalities are weights >= 0, some task's above 0, got {dict(self.tasks)}."
            )
        if self.shift <= 0:
            raise BadInput(f"tasks.shift must be above 0, got {self.shift}.")


def release_tasks(**changes: Any) -> TaskConfig:
    """What the released run drew."""
    released = {
        "tasks": {"cond": 0.25, "est": 0.25, "joint": 0.5},
        "modalities": {"depth": 0.2, "densepose": 0.2, "flow": 0.2, "segmentation": 0.4, "skeleton": 0.4},
        "routing": "step",
        "joint_time": "tied",
        "estimation_text": "caption",
        "shift": 5.0,
        "uniform_share": 0.0,
        "drop_prompt": 0.0,
        "drop_condition": 0.0,
    }
    return TaskConfig(**{**released, **changes})


class Draw(NamedTuple):
    """What one sample is trained on."""

    task: str
    modalities: tuple[str, ...]
    """One for each modality stream."""
    t_rgb: float
    t_maps: tuple[float, ...]
    keep_caption: bool
    keep_prompts: bool
    wording: int
    """Which of the modality's wordings, by its remainder."""


def draw(
    config: TaskConfig, draws: Draws, available: Sequence[str], *, num_maps: int = 1, step_draws: Draws | None = None
) -> Draw:
    """Draw one sample's task, modalities, times and drops.

    Args:
        config: rates.
        draws: of this sample.
        available: modalities that the sample has.
        num_maps: modality streams; 0 trains RGB alone, from text.
        step_draws: of the step, for `routing="step"`: the same for all samples of it.

    Raises:
        ValueError: the sample has too few modalities with a weight.
    """
    if num_maps == 0:
        return Draw(
            "text", (), _time(config, draws, "t.rgb"), (), draws.uniform("drop.caption") >= config.drop_caption, True, 0
        )
    router = step_draws if config.routing == "step" and step_draws is not None else draws
    task = router.choice("task", {name: weight for name, weight in config.tasks.items() if weight > 0})
    left = {name: config.modalities.get(name, 1.0) for name in available if config.modalities.get(name, 1.0) > 0}
    if len(left) < num_maps:
        raise ValueError(f"a sample with {len(left)} modalities that have a weight cannot fill {num_maps} streams")
    chosen = []
    for number in range(num_maps):
        chosen.append(router.choice(f"modality.{number}", left))
        del left[chosen[-1]]
    t_rgb = _time(config, draws, "t.rgb")
    tied = config.joint_time == "tied" or (config.joint_time == "mixed" and draws.uniform("tied") < 0.5)
    own = [_time(config, draws, f"t.map.{number}") for number in range(num_maps)]
    t_maps = [t_rgb] * num_maps if task == "joint" and tied else own
    dropped = draws.uniform("drop.condition") < config.drop_condition
    if task == "cond":
        t_maps = [1.0 if dropped else 0.0] * num_maps
    elif task == "est":
        t_rgb = 1.0 if dropped else 0.0
    captioned = task != "est" or config.estimation_text == "caption"
    return Draw(
        task=task,
        modalities=tuple(chosen),
        t_rgb=t_rgb,
        t_maps=tuple(t_maps),
        keep_caption=captioned and draws.uniform("drop.caption") >= config.drop_caption,
        keep_prompts=draws.uniform("drop.prompt") >= config.drop_prompt,
        wording=int(draws.uniform("wording") * 2**20),
    )


def _time(config: TaskConfig, draws: Draws, purpose: str) -> float:
    kind = draws.uniform(f"{purpose}.kind")
    if kind < config.noise_share:
        return 1.0
    if kind < config.noise_share + (1 - config.noise_share) * config.uniform_share:
        t = draws.uniform(purpose)
    else:
        t = logit_normal(draws.normal(purpose), mean=config.time_mean, std=config.time_std)
    return shifted(t, config.shift)


class Batch(NamedTuple):
    """A batch for the network: its streams and what it should answer."""

    streams: list[Stream]
    """RGB, then the maps."""
    targets: list[Tensor]
    """(B, C, F, H, W) for each stream."""
    weights: list[Tensor]
    """(B,) for each stream: 1 where the answer is supervised, else 0. All answers are asked for, so that every
    parameter has a gradient on every rank."""
    masks: Sequence[Tensor | None] | None = None
    """For each stream None or weights of latent pixels, see `losses`."""


def make_batch(
    draws: Sequence[Draw],
    rgb: Tensor,
    maps: Sequence[Tensor],
    *,
    captions: Tensor,
    prompts: Sequence[Tensor],
    empty: Tensor,
    noise: Sequence[Tensor],
    modalities: Sequence[str],
    prediction: str = "velocity",
) -> Batch:
    """Noise the streams that each sample generates.

    Args:
        draws: B of them.
        rgb: (B, C, F, H, W) clean latents.
        maps: the same for each modality stream.
        captions: (B, T, D) embedded C_r.
        prompts: (B, T, D) embedded C_m for each modality stream.
        empty: (T, D), the embedded empty prompt.
        noise: standard normal, for RGB and for each modality stream, shaped as the latents.
        modalities: the network's, for ids.
        prediction: "velocity" or "x0".
    """
    device = rgb.device
    tasks = [one.task for one in draws]
    times = [[one.t_rgb for one in draws], *([one.t_maps[k] for one in draws] for k in range(len(maps)))]
    kept = torch.tensor([one.keep_caption for one in draws], device=device).view(-1, 1, 1)
    prompted = torch.tensor([one.keep_prompts for one in draws], device=device).view(-1, 1, 1)
    blank = empty.unsqueeze(0)
    texts = [torch.where(kept, captions, blank), *(torch.where(prompted, prompt, blank) for prompt in prompts)]
    ids: list[Tensor | None] = [None]
    for k in range(len(maps)):
        ids.append(torch.tensor([list(modalities).index(one.modalities[k]) for one in draws], device=device))
    streams, targets, weights = [], [], []
    for place, (clean, x1) in enumerate(zip([rgb, *maps], noise, strict=True)):
        t = torch.tensor(times[place], device=device, dtype=torch.float32)
        streams.append(Stream(interpolate(clean, x1, t), t, texts[place], ids[place]))
        targets.append(target(clean, x1, prediction))
        condition = "est" if place == 0 else "cond"
        weights.append(torch.tensor([float(task != condition) for task in tasks], device=device))
    return Batch(streams, targets, weights)


def losses(answers: Sequence[Tensor], batch: Batch, masks: Sequence[Tensor | None] | None = None) -> Tensor:
    """Squared error of each stream of each sample, (S, B) float32; 0 where it is not supervised.

    Args:
        answers: of the network, for `batch.streams`.
        batch: targets and weights.
        masks: for each stream None or (B, 1, F, H, W) weights of latent pixels; the error is their weighted mean.
    """
    rows = []
    for place, (answer, wanted, weight) in enumerate(zip(answers, batch.targets, batch.weights, strict=True)):
        error = (answer.float() - wanted.float()).square().mean(dim=1, keepdim=True)
        mask = masks[place] if masks is not None else None
        if mask is None:
            mean = error.flatten(1).mean(dim=1)
        else:
            mean = (error * mask).flatten(1).sum(dim=1) / mask.expand_as(error).flatten(1).sum(dim=1).clamp_min(1e-9)
        rows.append(mean * weight)
    return torch.stack(rows)


def total_loss(per_stream: Tensor) -> Tensor:
    """What is minimised: the sum over streams (as in the paper's equation 3), the mean over samples."""
    return per_stream.sum(dim=0).mean()
