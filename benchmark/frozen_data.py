"""The frozen scenes as data of a run that names none: rendered on demand, at the model's size class, and kept."""

from pathlib import Path

from openuni.benchmark.synth.frozen import OFFICIAL_CLIPS, OFFICIAL_FRAMES
from openuni.benchmark.synth.job import RenderConfig, render_run
from openuni.benchmark.synth.render import SIZE_MULTIPLE
from openuni.engine.run import Engine
from openuni.generator import Size

MINI_CLIPS = 20
"""Ours: every family has its part, and a tiny model is done within ten minutes on two cores; docs/bench.md."""
MIN_SIDE_PX = 64  # ours: below it boundaries and joints are a pixel
FULL_SIDE_PX = 512
WHOLE = Size(OFFICIAL_FRAMES, FULL_SIDE_PX, FULL_SIDE_PX, 16.0)


def frozen_data(out: Path, size: Size | None, *, limit: int | None, whole: bool, engine: Engine) -> Path:
    """Render frozen scenes beside a bench's output, unless they are there.

    Args:
        out: the bench's output folder; the scenes lie in OUT-data.
        size: at which the model works best; None: whole scenes.
        limit: how many scenes the run asks about; None: MINI_CLIPS, or all.
        whole: render scenes at full size and length, and all of them: for machines with a GPU.
        engine: what renders.

    Returns:
        The rendered folder. It may hold more scenes than asked for.
    """
    chosen = WHOLE if whole or size is None else size
    clips = limit or (OFFICIAL_CLIPS if whole else MINI_CLIPS)
    height, width = (max(MIN_SIDE_PX, -(-side // SIZE_MULTIPLE) * SIZE_MULTIPLE)
                     for side in (chosen.height, chosen.width))  # fmt: skip
    frames = min(chosen.num_frames, OFFICIAL_FRAMES)
    folder = out.with_name(f"{out.name}-data") / f"frozen-{width}x{height}x{frames}"
    config = RenderConfig(
        out=folder, clips=min(clips, OFFICIAL_CLIPS), official=True, height=height, width=width, num_frames=frames
    )
    render_run(config, engine)
    return folder
