"""Sampling: from noise to clean latents, one ordinary differential equation for all streams that are generated.

The network's velocities are integrated from t = 1 to t = 0. Guidance is written as what each part of the input adds:
v + sum over parts (g - 1) (v - v without the part), for one part classifier-free guidance (Ho and Salimans 2022) with
weight g. Only what was dropped in training can be left out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from openuni.errors import BadInput
from openuni.model.interpolant import sampling_times, velocity_of
from openuni.model.network import Stream, UnityVideo
from openuni.model.tasks import TaskConfig

SOLVERS = ("euler", "unipc")


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """How much each part of the input weighs; 1 is no guidance and costs nothing, each other one pass more a step."""

    text: float = 1.0
    """Of the caption C_r. Paper 7.5, Wan 5 (6 for 1.3B), release 1."""
    prompt: float = 1.0
    """Of the modality prompts C_m."""
    condition: float = 1.0
    """Of the clean streams: the map in cond, the frames in est."""
    inner: float = 1.0
    """Of the generated maps on the RGB answer of joint: the model's own idea of depth or motion guides the frames
    (VideoJAM, Chefer et al. 2025, inner guidance)."""

    def parts(self) -> dict[str, float]:
        """The parts that have a weight other than 1."""
        weights = {"text": self.text, "prompt": self.prompt, "condition": self.condition, "inner": self.inner}
        return {name: weight for name, weight in weights.items() if weight != 1.0}

    def check(self, tasks: TaskConfig) -> None:
        """Refuse guidance on something that the checkpoint was never trained without.

        Raises:
            BadInput: with the name of the rate in training.
        """
        rates = {
            "text": "drop_caption",
            "prompt": "drop_prompt",
            "condition": "drop_condition",
            "inner": "drop_condition",
        }
        for part in self.parts():
            if getattr(tasks, rates[part]) == 0:
                raise BadInput(
                    f"Guidance on {part} needs a model that was trained without it too, but this one's "
                    f"tasks.{rates[part]} is 0. Use a weight of 1."
                )


@dataclass(frozen=True, kw_only=True)
class SamplerConfig:
    """How to sample; SAMPLERS has the presets."""

    solver: str = "unipc"
    """euler; or unipc (Zhao et al. 2023), of second order: diffusers', one for each stream since it remembers."""
    steps: int = 50
    """Steps from noise to clean."""
    shift: float | None = None
    """Of the times; None: as the model was trained, tasks.shift."""
    guidance: Guidance = Guidance()
    """Weights of the parts of the input."""
    window: int | None = None
    """Latent frames at a time, for clips longer than the model's; None: the whole clip at once."""
    overlap: int = 2
    """Latent frames that neighbouring windows share; where they meet, their velocities are mixed."""

    def __post_init__(self) -> None:
        """Check values.

        Raises:
            BadInput: an unknown solver, no step, windows that cannot overlap.
        """
        if self.solver not in SOLVERS:
            raise BadInput(f"solver must be one of {', '.join(SOLVERS)}, got {self.solver!r}.")
        if self.steps < 1:
            raise BadInput(f"steps must be at least 1, got {self.steps}.")
        if self.window is not None and not 0 <= self.overlap < self.window:
            raise BadInput(f"overlap must be from 0 to below the window of {self.window}, got {self.overlap}.")


SAMPLERS: dict[str, SamplerConfig] = {
    "paper": SamplerConfig(steps=50, guidance=Guidance(text=7.5)),
    "release": SamplerConfig(solver="euler", steps=20, shift=1.0),
    "wan": SamplerConfig(steps=50, guidance=Guidance(text=5.0)),
    "tiny": SamplerConfig(solver="euler", steps=8),
}
"""paper: UnityVideo, section 4.1 (its DDIM is UniPC here); release: the released code; wan: Wan2.1's
defaults; tiny: for small frames on a CPU."""


def changed(
    base: SamplerConfig, *, steps: int | None, text: float | None, prompt: float, condition: float, inner: float
) -> SamplerConfig:
    """A preset with what a user says in its place; None keeps its own, guidance on all but the text is the user's."""
    weights = Guidance(
        text=base.guidance.text if text is None else text, prompt=prompt, condition=condition, inner=inner
    )
    return replace(base, steps=steps or base.steps, guidance=weights)


class Given(NamedTuple):
    """One stream of a clip to be sampled."""

    latent: Tensor
    """(B, C, F, H, W): clean where it is a condition, else noise."""
    text: Tensor
    """(B, T, D) embedded prompt."""
    modality: Tensor | None
    """(B,) place in the network's modalities; None for RGB."""
    generate: bool
    """Whether it is sampled; else it is the condition."""


def sample(
    network: UnityVideo,
    given: Sequence[Given],
    config: SamplerConfig,
    *,
    shift: float,
    empty: Tensor,
    noise: Sequence[Tensor] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Tensor]:
    """Sample all streams that are to be generated.

    Args:
        network: in eval mode.
        given: the streams, RGB first if it is there.
        config: how.
        shift: of times, where the config says none.
        empty: (T, D), the embedded empty prompt, for guidance.
        noise: for each stream the noise that takes its place where guidance leaves it out; None: drawn from `given`'s
            shapes with torch's default generator. Only used with guidance on condition or inner.
        progress: called with the step that is done and the number of steps.

    Returns:
        The latents of `given` in its order, (B, C, F, H, W) float32, conditions as they came.
    """
    device = given[0].latent.device
    times = sampling_times(config.steps, config.shift if config.shift is not None else shift)
    solvers = [_solver(config, times) if stream.generate else None for stream in given]
    latents = [stream.latent.float() for stream in given]
    if noise is None:
        noise = [torch.randn_like(latent) for latent in latents]
    model = _Model(network, list(given), config, empty, list(noise))
    for step in range(config.steps):
        t = times[step]
        velocities = model.velocities(latents, float(t))
        for place, (solver, velocity) in enumerate(zip(solvers, velocities, strict=True)):
            if solver is not None and velocity is not None:
                latents[place] = solver(step, latents[place], velocity.float())
        if progress is not None:
            progress(step + 1, config.steps)
    return [latent.to(device) for latent in latents]


def _solver(config: SamplerConfig, times: Tensor) -> Callable[[int, Tensor, Tensor], Tensor]:
    """One stream's step: (step, x, velocity) -> x at the next time."""
    if config.solver == "euler":
        return lambda step, x, velocity: x + float(times[step + 1] - times[step]) * velocity
    from diffusers import UniPCMultistepScheduler

    scheduler: Any = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=1.0)
    scheduler.set_timesteps(config.steps)
    # Its own grid begins at a hair below 1 and is shifted differently: ours, so that all solvers see the same times.
    sigmas = times.to(torch.float32)
    sigmas[0] = min(float(sigmas[0]), 1 - 1e-4)  # at exactly 1 its logarithm of the signal is infinite
    scheduler.sigmas = sigmas
    scheduler.timesteps = sigmas[:-1] * 1000
    return lambda step, x, velocity: scheduler.step(velocity, scheduler.timesteps[step], x, return_dict=False)[0]


class _Model:
    """Velocities of a clip: guidance and windows around the network."""

    def __init__(
        self, network: UnityVideo, given: list[Given], config: SamplerConfig, empty: Tensor, noise: list[Tensor]
    ) -> None:
        self.network, self.given, self.config, self.noise = network, given, config, noise
        self.empty = empty
        self.parts = config.guidance.parts()

    def velocities(self, latents: list[Tensor], t: float) -> list[Tensor | None]:
        """Guided velocities of the whole clip, None for conditions."""
        frames = latents[0].shape[2]
        spans = list(windows(frames, self.config.window, self.config.overlap))
        if len(spans) == 1:
            return self._guided(latents, t, slice(0, frames))
        sums: list[Tensor | None] = [None] * len(latents)
        total = torch.zeros(frames, device=latents[0].device)
        for span in spans:
            weight = _tent(span.stop - span.start, self.config.overlap).to(latents[0].device)
            total[span] += weight
            for place, velocity in enumerate(self._guided(latents, t, span)):
                if velocity is not None:
                    if sums[place] is None:
                        sums[place] = torch.zeros_like(latents[place])
                    sums[place][:, :, span] += velocity * weight.view(1, 1, -1, 1, 1)  # type: ignore[index]
        return [None if one is None else one / total.view(1, 1, -1, 1, 1) for one in sums]

    def _guided(self, latents: list[Tensor], t: float, span: slice) -> list[Tensor | None]:
        whole = self._pass(latents, t, span, leave_out=None)
        out = list(whole)
        for part, weight in self.parts.items():
            without = self._pass(latents, t, span, leave_out=part)
            for place, (full, less) in enumerate(zip(whole, without, strict=True)):
                if full is not None and less is not None and out[place] is not None:
                    out[place] = out[place] + (weight - 1) * (full - less)  # type: ignore[operator]
        return out

    def _pass(self, latents: list[Tensor], t: float, span: slice, leave_out: str | None) -> list[Tensor | None]:
        """One pass through the network; None for streams that it does not answer or that the part does not concern."""
        streams = []
        for place, (one, latent) in enumerate(zip(self.given, latents, strict=True)):
            piece, text = latent[:, :, span], one.text
            time = t if one.generate else 0.0
            if leave_out == ("text" if one.modality is None else "prompt"):
                text = self.empty.expand_as(text)
            predict = one.generate
            if (leave_out == "condition" and not one.generate) or (leave_out == "inner" and one.modality is not None):
                piece, time, predict = self.noise[place][:, :, span], 1.0, False
            times = torch.full((len(piece),), time, device=piece.device)
            dtype = self.network.patch_embedding.weight.dtype
            streams.append(Stream(piece.to(dtype), times, text.to(dtype), one.modality, predict))
        answers = self.network(streams)
        return [
            None
            if answer is None
            else velocity_of(
                answer.float(), latents[place][:, :, span], streams[place].t, self.network.arguments.prediction
            )
            for place, answer in enumerate(answers)
        ]


def windows(frames: int, length: int | None, overlap: int) -> Iterator[slice]:
    """Spans of at most `length` latent frames that cover all, each sharing at least `overlap` with the one before.

    The last one is moved back so that all are equally long.
    """
    if length is None or frames <= length:
        yield slice(0, frames)
        return
    start = 0
    while start + length < frames:
        yield slice(start, start + length)
        start += length - overlap
    yield slice(frames - length, frames)


def _tent(length: int, overlap: int) -> Tensor:
    """Weights of a window's frames: rising over the overlap, 1, falling."""
    place = torch.arange(1, length + 1, dtype=torch.float32)
    return torch.minimum(torch.minimum(place, place.flip(0)), torch.tensor(float(overlap + 1))) / (overlap + 1)
