"""`openuni demo`: the whole way on a laptop: clips made on the spot, built, learned from, generated, estimated, told.

One page at the end has the pictures and numbers. Whatever a run before has finished is not done again.
"""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openuni.cli.options import Ray
from openuni.errors import BadInput

if TYPE_CHECKING:
    from openuni.engine.run import Engine
    from openuni.pipelines.build import Built

SCENES = (("dolly", 0), ("orbit", 1), ("pan", 0), ("static", 2))
"""(camera, movers): two clips whose depth can be told from motion, two whose depth cannot."""
HEIGHT, WIDTH, NUM_FRAMES = 240, 416, 33  # ours: the smallest size at which the pictures are worth looking at
MODEL = "tiny"
SET = "varied"
TRAINING_CLIPS = 32
STEPS = 40
CHANGES = (
    f"steps={STEPS}", f"save_every={STEPS}", f"export_every={STEPS}", "validate_every=0", "log_every=10", "workers=0",
    "warmup=10", "learning_rate=2e-4", "muon_rate=2e-3",
)  # fmt: skip
"""Gentle rates: forty steps shall show how training goes on, not undo what was learned. Ours."""
HELD_CLIPS = 6


def demo(out: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("demo"), ray: Ray = "auto") -> None:
    """Build clips, train a little, generate in three directions, estimate a clip never seen; one page tells it."""
    from openuni.cli.demo_page import write_page
    from openuni.engine.run import choose_engine

    begun = time.monotonic()
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; --out wants a folder.")
    engine = choose_engine(ray, None, cores=os.cpu_count() or 1)
    try:
        _say(begun, "1/5  build: four mp4 files, experts that need no weights")
        built = _build_files(out, engine)
        _say(begun, f"2/5  render and build: {TRAINING_CLIPS} small clips with exact truth")
        _training_set(out, engine)
    finally:
        engine.close()
    _say(begun, f"3/5  train: {STEPS} steps from the shipped model {MODEL}")
    _train(out)
    _say(begun, "4/5  generate in three directions, estimate clips never seen")
    page = write_page(out, built)
    _say(begun, "5/5  done")
    typer.echo(f"open {page}")


def _say(begun: float, text: str) -> None:
    typer.echo(f"[{time.monotonic() - begun:4.0f} s] {text}", err=True)


def _build_files(out: Path, engine: "Engine") -> "Built":
    """Four mp4 files with captions, as any user's, built with the embedded experts."""
    from openuni.cli.build import print_built
    from openuni.cli.show import show
    from openuni.engine.monitor import Breaker
    from openuni.pipelines.build import Build, BuildConfig
    from openuni.pipelines.build import build as run_build

    clips = out / "clips"
    _make_clips(clips)
    config = BuildConfig(source="folder", root=str(clips), out=out / "build")
    built = run_build(Build.prepare(config), engine, breaker=Breaker())
    print_built(built)
    show(str(out / "build"), limit=len(SCENES), modality=None, clip=None, out=None, video=True)
    return built


def _training_set(out: Path, engine: "Engine") -> None:
    """A few clips of the shipped model's own kind, of other seeds than it was trained and scored on."""
    from dataclasses import replace

    from openuni.benchmark.synth.job import render_run
    from openuni.benchmark.synth.training_sets import TRAINING_SETS
    from openuni.engine.monitor import Breaker
    from openuni.pipelines.build import Build, BuildConfig
    from openuni.pipelines.build import build as run_build

    made = replace(TRAINING_SETS[SET], seed=501, held_seed=502, held_clips=HELD_CLIPS)
    render_run(made.held_out(out / "held-out"), engine)
    render_run(made.training(out / "rendered", TRAINING_CLIPS), engine)
    config = BuildConfig(source="synthetic", root=str(out / "rendered"), out=out / "training-build", experts=("truth",))
    run_build(Build.prepare(config), engine, breaker=Breaker())


def _train(out: Path) -> None:
    """A run of STEPS steps, once."""
    from openuni.model import train_state
    from openuni.model.launch import Settings, launch

    run = out / "ckpt"
    newest = train_state.newest(run)
    if newest is not None and int(newest.name) >= STEPS:
        typer.echo(f"{run} is trained already", err=True)
        return
    settings: dict[str, Any] = {"data": (str(out / "training-build"),), "preset": MODEL, "init": MODEL}
    launch(
        Settings(**settings, out=str(run), changes=CHANGES, resume=newest is not None, device="cpu"),
        echo=lambda text: typer.echo(text, err=True),
    )


def _make_clips(folder: Path) -> None:
    """Render the scenes to mp4 files with captions beside them; those that are there are kept."""
    from openuni.benchmark.synth.boxes import scene
    from openuni.engine.atomic import write_bytes
    from openuni.video import encode_rgb_mp4

    for seed, (camera, num_movers) in enumerate(SCENES):
        path = folder / f"{seed}_{camera}.mp4"
        if path.exists():
            continue
        made = scene(seed, num_frames=NUM_FRAMES, height=HEIGHT, width=WIDTH, camera=camera, num_movers=num_movers)
        things = f"{num_movers} moving object{'s' if num_movers != 1 else ''}" if num_movers else "nothing moving"
        words = f"A textured room with boxes and spheres, {things}, {camera} camera."
        write_bytes(path.with_suffix(".txt"), words.encode())
        write_bytes(path, encode_rgb_mp4(made.rgb, fps=made.fps))
        typer.echo(f"made {path}")
