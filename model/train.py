"""Training: the loop. It needs nothing but, for several ranks, an initialised process group.

A step: the plan says which clips, Draws say what each is trained on, the codec and the text encoder make latents and
prompts, the network answers, the errors of what was generated are summed. Everything that is random is keyed by
(seed, step, place in the global batch), so that a resumed run and any number of ranks see the same.
"""

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from openuni.errors import BadInput, RunFailed
from openuni.model import checkpoint, train_state, watch
from openuni.model.codec.frames import pixels_to_tensor
from openuni.model.config import ModelConfig
from openuni.model.data.config import LoaderConfig
from openuni.model.data.loader import Loader
from openuni.model.data.plan import Plan
from openuni.model.data.sample import SampleMaker, TrainingSample
from openuni.model.draws import Draws, noise_of
from openuni.model.export import export
from openuni.model.flops import tokens_of, training_flops
from openuni.model.network import UnityVideo, network_config
from openuni.model.optim import Average, optimisers, set_rate
from openuni.model.parallel import mean_gradients, parallelise
from openuni.model.pipeline import Found, UnityVideoPipeline
from openuni.model.prompts import modality_prompt
from openuni.model.rendering import Renderings
from openuni.model.sampler import SamplerConfig
from openuni.model.tasks import Batch, Draw, TaskConfig, draw, losses, make_batch
from openuni.model.train_config import TrainConfig

VALIDATION_CLIPS = 32  # ours: enough for two digits of the loss, few enough to be done often
PICTURE_STEPS = 4  # ours: of the clip that is drawn at each validation; a panel, not a measurement
VALIDATION_SALT = 1  # added to the seed: validation's draws are its own
ON_BLACK = ("densepose", "skeleton")  # drawings that are mostly background
TIME_BINS = 4  # of the loss by time: quarters of 0 to 1
Say = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a training run is made of."""

    out: Path
    train: TrainConfig
    model: ModelConfig
    loader: LoaderConfig
    started_from: str
    """Where the weights are from, for the record."""


class Place(NamedTuple):
    """This process among all."""

    rank: int
    world: int
    device: torch.device


class Trainer:
    """Network, optimiser and moving average of a run, on one rank."""

    def __init__(self, run: Run, network: UnityVideo, place: Place, say: Say) -> None:
        """Prepare; every rank gives the same network, float32.

        Args:
            run: what is trained on what.
            network: its weights.
            place: this process.
            say: told events: say("train", step=..., loss=...).
        """
        self.run, self.place, self.say = run, place, say
        self.network_arguments = network_config(network.config)
        self.modalities = list(network.arguments.modalities)
        self.prediction = network.arguments.prediction
        self.codec = run.model.load_codec(place.device)
        self.text = _text_encoder(run, place.device)
        self.renderings = Renderings(run.model.rendering)
        self.empty = self.text.encode([""])[0].float().to(place.device)
        torch.nn.Module.to(network, place.device)  # diffusers' own is typed for something else
        self.network = parallelise(network.train(), run.train)
        self.replicated = place.world > 1 and run.train.whole_weights
        self.optimisers = optimisers(self.network, run.train)
        self.average = Average(self.network, run.train.ema)
        self.saver = train_state.Saver(run.out, keep=run.train.keep)
        self.tasks = run.model.tasks
        """Rates of the stage that is trained."""
        self.step = 0
        """Steps done."""

    def train(self) -> float:
        """Train to the end of the run, and return the last step's loss. What is being saved is finished in any case.

        Raises:
            RunFailed: the loss is not finite, or the disk is full. The checkpoint before is whole.
        """
        try:
            return self._stages()
        finally:
            self._finish_saving()

    def _stages(self) -> float:
        """Stage by stage, step by step."""
        config = self.run.train
        loss = math.nan
        while self.step < config.last:
            number, stage = config.stage_at(self.step)
            self.tasks = self._tasks(number)
            end = min(config.last, config.stage_ends()[number])
            loader = self._loader(number)
            self.say(
                "stage", step=self.step, stage=stage.name, clips=len(loader.plan.clips), left_out=loader.plan.left_out
            )
            for samples in loader.batches(self.step, end):
                begun = time.perf_counter()
                loss, facts = self._step(samples)
                self.step += 1
                seconds = time.perf_counter() - begun
                self.say("train", step=self.step, loss=loss, seconds=seconds, stage=stage.name, **facts)
                last = self.step == config.last
                if self.step % config.save_every == 0 or last:
                    self._save(loader)
                if config.validate_every and (self.step % config.validate_every == 0 or last):
                    self._validate()
                if self.step % config.export_every == 0 or last:
                    self._export()
        return loss

    def resume(self, path: Path) -> None:
        """Go on after a checkpoint.

        Raises:
            BadInput: it is of another network, other data or other settings.
        """
        about = train_state.restore(path, self.network, self.optimisers, self.average)
        number, _ = self.run.train.stage_at(int(about["step"]) - 1)
        self.step = self._loader(number).resume(about["loader"])
        self.say("resume", step=self.step, checkpoint=path.name)

    def _tasks(self, stage: int) -> TaskConfig:
        """Rates of a stage."""
        weights = self.run.train.parts[stage].tasks
        return self.run.model.tasks if weights is None else replace(self.run.model.tasks, tasks=weights)

    def _loader(self, stage: int) -> Loader:
        return self._reader(stage, "train", self._tasks(stage), salt=0)

    def _held_out(self) -> Loader:
        return self._reader(len(self.run.train.parts) - 1, "validation", self.run.model.tasks, salt=VALIDATION_SALT)

    def _reader(self, stage: int, split: str, tasks: TaskConfig, *, salt: int) -> Loader:
        choose = partial(chosen, tasks=tasks, seed=self.run.train.seed + salt, num_maps=self.run.train.num_maps)
        config, place = loader_of(self.run, stage), self.place
        draw = self.renderings.draw
        return Loader(config, split=split, rank=place.rank, world=place.world, choose=choose, draw=draw)

    def _step(self, samples: list[TrainingSample]) -> tuple[float, dict[str, Any]]:
        """One optimiser step; loss of the global batch, and what is logged of it."""
        config = self.run.train
        rate = set_rate(self.optimisers, config, self.step)
        self.network.zero_grad()
        parts: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        total, tokens, flops = torch.zeros((), device=self.place.device), 0, 0
        size = config.micro_batch or len(samples)
        for start in range(0, len(samples), size):
            piece = samples[start : start + size]
            drawn, batch = self.batch(piece, self.tasks)
            per_stream = losses(self.network(batch.streams), batch, batch.masks)
            part = per_stream.sum(dim=0).sum() / len(samples)
            part.backward()
            total += part.detach()
            _count(parts, drawn, per_stream.detach().cpu())
            counts = [tokens_of(self.network.arguments, tuple(stream.latent.shape[2:])) for stream in batch.streams]
            tokens += sum(counts) * len(piece)
            prompt = batch.streams[0].text.shape[1]
            flops += training_flops(self.network.arguments, counts, prompt_tokens=prompt) * len(piece)
        if self.place.world > 1:
            dist.all_reduce(total, op=dist.ReduceOp.SUM)
            total /= self.place.world
        loss = float(total)
        if not math.isfinite(loss):
            self._not_finite(samples, loss)
        if self.replicated:
            mean_gradients(self.network)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
        norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
        for optimiser in self.optimisers:
            optimiser.step()
        self.average.update(self.network.named_parameters())
        means = {name: summed / count for name, (summed, count) in sorted(parts.items())}
        return loss, {"rate": rate, "gradient_norm": float(norm), "tokens": tokens, "flops": flops, "parts": means}

    def batch(self, samples: Sequence[TrainingSample], tasks: TaskConfig, *, salt: int = 0) -> tuple[list[Draw], Batch]:
        """Latents, prompts and noise of some samples.

        Args:
            samples: of one size.
            tasks: rates of this stage.
            salt: added to the seed of draws; validation uses its own.
        """
        config, device = self.run.train, self.place.device
        draws = [Draws(config.seed + salt, one.step, one.index) for one in samples]
        steps = [Draws(config.seed + salt, one.step, -1) for one in samples]
        drawn = [
            draw(tasks, mine, one.available, num_maps=config.num_maps, step_draws=step)
            for one, mine, step in zip(samples, draws, steps, strict=True)
        ]
        rgb = self._encode(self._pixels([one.rgb for one in samples]))
        maps, prompts = [], []
        masks: list[Tensor | None] = [None]
        for place in range(config.num_maps):
            names = [one.modalities[place] for one in drawn]
            pixels = self._pixels([one.drawn[name] for name, one in zip(names, samples, strict=True)])
            maps.append(self._encode(pixels))
            masks.append(foreground(names, pixels, maps[-1].shape[2:], config.foreground_weight))
            words = [
                modality_prompt(name, draw=one.wording, subject=sample.subjects or None)
                for name, one, sample in zip(names, drawn, samples, strict=True)
            ]
            prompts.append(self.text.encode(words).float().to(device))
        streams = ["noise.rgb", *(f"noise.map.{place}" for place in range(config.num_maps))]
        size = tuple(rgb.shape[1:])
        noise = [noise_of(draws, name, size, device) for name in streams]
        made = make_batch(
            drawn,
            rgb,
            maps,
            captions=self.text.encode([one.caption for one in samples]).float().to(device),
            prompts=prompts,
            empty=self.empty,
            noise=noise,
            modalities=self.modalities,
            prediction=self.prediction,
        )
        return drawn, made._replace(masks=masks)

    def _pixels(self, clips: Sequence[np.ndarray]) -> Tensor:
        """(B, T, H, W, 3) uint8 on the device."""
        return torch.from_numpy(np.stack(clips)).to(self.place.device)

    @torch.no_grad()
    def _encode(self, pixels: Tensor) -> Tensor:
        """(B, C, F, h, w) float32 latents of (B, T, H, W, 3) uint8 pixels."""
        pieces = [pixels] if self.codec.batched else pixels.split(1)
        return torch.cat([self.codec.encode(pixels_to_tensor(one)).float() for one in pieces])

    def _not_finite(self, samples: list[TrainingSample], loss: float) -> None:
        keys = [one.key for one in samples]
        path = self.run.out / f"not_finite.rank{self.place.rank}.json"
        path.write_text(json.dumps({"step": self.step + 1, "loss": str(loss), "clips": keys}, indent=2) + "\n", "utf-8")
        raise RunFailed(
            f"The loss of step {self.step + 1} is {loss}; the batch's clips are in {path}. The last checkpoint is "
            "whole: lower learning_rate and run with --resume."
        )

    def _save(self, loader: Loader) -> None:
        about = {
            "loader": loader.state(self.step),
            "train": self.run.train.to_json(),
            "network": self.network_arguments,
        }
        self._finish_saving()
        self.saver.save(self.step, self.network, self.optimisers, self.average, about)

    def _finish_saving(self) -> None:
        path = self.saver.finish()
        if path is not None:
            self.say("checkpoint", step=int(path.name), path=str(path.relative_to(self.run.out)))

    def averaged(self) -> UnityVideo:
        """The EMA model, whole, on the CPU."""
        whole = {
            name: (weight.full_tensor() if hasattr(weight, "full_tensor") else weight).detach().cpu().clone()
            for name, weight in self.average.weights.items()
        }
        return checkpoint.fill(self.network_arguments, whole, "the moving average", dtype=None, device="cpu")

    def _export(self) -> None:
        network = self.averaged()  # every rank takes part in gathering
        path = self.run.out / "export" / str(self.step)
        if self.place.rank == 0 and not (path / "README.md").exists():
            said = f"step {self.step} of a run that began with {self.run.started_from}"
            export(Found(said, network, self.run.model, trained=True), path, "openuni")
            self.say("export", step=self.step, path=str(path.relative_to(self.run.out)))
        if self.place.world > 1:
            dist.barrier()

    @torch.no_grad()
    def _validate(self) -> None:
        """Loss of the EMA model by task and modality on held-out clips, with the same draws each time."""
        try:
            loader = self._held_out()
        except BadInput as error:
            self.say("validation", step=self.step, skipped=str(error))
            return
        network = self.averaged()
        torch.nn.Module.to(network, self.place.device)
        parts: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        batches = max(1, VALIDATION_CLIPS // self.run.train.batch_size)
        for samples in loader.batches(0, batches):
            drawn, batch = self.batch(samples, self.run.model.tasks, salt=VALIDATION_SALT)
            _count(parts, drawn, losses(network(batch.streams), batch).cpu())
        if self.place.world > 1:
            gathered: list[Any] = [None] * self.place.world
            dist.all_gather_object(gathered, dict(parts))
            parts = defaultdict(lambda: [0.0, 0.0])
            for one in gathered:
                for name, (summed, count) in one.items():
                    parts[name][0] += summed
                    parts[name][1] += count
        self.say("validation", step=self.step, parts={name: a / b for name, (a, b) in sorted(parts.items())})
        if self.place.rank == 0 and self.run.train.num_maps:
            self._picture(network, loader.plan)

    def _picture(self, network: UnityVideo, plan: Plan) -> None:
        """Maps of the first held-out clip, estimated with the same seed each time: how they appear (paper, Fig. 7)."""
        sample = SampleMaker(plan, train=False).make(0, 0)
        names = [name for name in self.modalities if name in sample.maps]
        pipeline = UnityVideoPipeline(
            network.eval(), self.run.model, device=self.place.device, _codec=self.codec, _text=self.text
        )
        few = SamplerConfig(solver="euler", steps=PICTURE_STEPS)
        out = pipeline("est", sample.caption, modalities=names, rgb=sample.rgb, sampler=few, seed=self.run.train.seed)
        videos = {"rgb": sample.rgb} | {
            name: (self.renderings.draw(name, sample.maps[name]), out.maps[name].frames) for name in names
        }
        errors = watch.errors(self.renderings, sample.maps, {name: out.maps[name].map for name in names})
        path = watch.draw(self.run.out, self.step, videos)
        self.say("picture", step=self.step, path=str(path.relative_to(self.run.out)), clip=sample.key, errors=errors)


def chosen(
    step: int, index: int, available: Sequence[str], *, tasks: TaskConfig, seed: int, num_maps: int
) -> Sequence[str]:
    """Which of a clip's maps a step needs: those that its draw shows. A function at the top, so that it pickles."""
    own, whole = Draws(seed, step, index), Draws(seed, step, -1)
    return draw(tasks, own, available, num_maps=num_maps, step_draws=whole).modalities


def foreground(names: Sequence[str], pixels: Tensor, size: Sequence[int], weight: float) -> Tensor | None:
    """Weights of latent pixels: `weight` where a modality drawn on black shows something, else 1.

    Args:
        names: modality of each sample.
        pixels: (B, T, H, W, 3) uint8.
        size: frames, height and width of the latents.
        weight: of drawn latent pixels; 1: nothing is weighted.

    Returns:
        (B, 1, F, h, w) float32; None where nothing is weighted.
    """
    if weight == 1:
        return None
    on_black = torch.tensor([name in ON_BLACK for name in names], device=pixels.device).view(-1, 1, 1, 1)
    drawn = ((pixels.amax(dim=-1) > 0) & on_black).float()
    return 1 + (weight - 1) * torch.nn.functional.adaptive_max_pool3d(drawn[:, None], tuple(size))


def loader_of(run: Run, stage: int) -> LoaderConfig:
    """The loader's settings in a stage of the curriculum."""
    part, config = run.train.parts[stage], run.train
    names = part.modalities or run.loader.modalities
    if part.modalities and run.loader.modalities:
        names = tuple(name for name in part.modalities if name in run.loader.modalities)
        if not names:
            raise BadInput(
                f"Stage {part.name} trains {', '.join(part.modalities)}, but loader.modalities has only "
                f"{', '.join(run.loader.modalities)}. Set curriculum=false."
            )
    return replace(
        run.loader,
        modalities=names,
        groups=part.groups or run.loader.groups,
        batch_size=config.batch_size,
        num_maps=config.num_maps,
        seed=config.seed,
        workers=config.workers,
        flip=config.flip,
    )


def _count(parts: dict[str, list[float]], drawn: Sequence[Draw], per_stream: Tensor) -> None:
    """Add each sample's loss to its task, its task and modality, and its task and quarter of time."""
    for column, one in enumerate(drawn):
        loss = float(per_stream[:, column].sum())
        t = (
            one.t_rgb
            if one.task in ("cond", "text")
            else one.t_maps[0]
            if one.task == "est"
            else max(one.t_rgb, *one.t_maps)
        )
        quarter = min(TIME_BINS - 1, int(t * TIME_BINS))
        names = [one.task, f"{one.task}/t{quarter}", *(f"{one.task}/{name}" for name in one.modalities)]
        for name in names:
            parts[name][0] += loss
            parts[name][1] += 1


def step_flops(run: Run, network: UnityVideo, prompt_tokens: int, latent: tuple[int, int, int]) -> int:
    """Operations of a step of the global batch."""
    tokens = [tokens_of(network.arguments, latent)] * (1 + run.train.num_maps)
    return run.train.batch_size * training_flops(network.arguments, tokens, prompt_tokens=prompt_tokens)


def _text_encoder(run: Run, device: torch.device) -> Any:
    """The text encoder; one with weights behind a cache on disk, since captions come again every epoch."""
    encoder = run.model.load_text(device)
    if run.model.text == "hash":
        return encoder
    from openuni.model.text.cache import CachedText

    return CachedText(encoder, run.out / "text_cache")
