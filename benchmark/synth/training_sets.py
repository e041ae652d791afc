"""Training sets: rendered clips that small models learn from, and held-out ones, each from a seed of its own."""

from dataclasses import dataclass
from pathlib import Path

from openuni.benchmark.synth.job import RenderConfig


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """What is rendered. Truth is sampled by rays at this very size."""

    family: str
    side_px: int
    num_frames: int
    """Of a training clip; a model that takes fewer is shown different windows of it."""
    clips: int
    seed: int
    held_clips: int = 96
    held_seed: int = 9001
    held_frames: int
    """What the model takes."""

    def training(self, out: Path, clips: int | None = None) -> RenderConfig:
        """Return the training clips' render run."""
        return self._run(out, clips or self.clips, self.seed, self.num_frames)

    def held_out(self, out: Path) -> RenderConfig:
        """Return the held-out clips' render run."""
        return self._run(out, self.held_clips, self.held_seed, self.held_frames)

    def _run(self, out: Path, clips: int, seed: int, num_frames: int) -> RenderConfig:
        return RenderConfig(
            out=out,
            clips=clips,
            seed=seed,
            families=(self.family,),
            height=self.side_px,
            width=self.side_px,
            num_frames=num_frames,
        )


TRAINING_SETS = {
    "plain": TrainingSet(family="plain", side_px=24, num_frames=5, clips=1600, seed=1, held_frames=3),
    "varied": TrainingSet(family="varied", side_px=48, num_frames=5, clips=4300, seed=2, held_frames=5),
}
"""plain: what `tiny_cpu` learns in `make learn`. varied: what the shipped model learned."""
