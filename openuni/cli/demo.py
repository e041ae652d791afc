"""`openuni demo`: the main job on clips made on the spot."""

import os
from pathlib import Path
from typing import Annotated

import typer

from openuni.errors import BadInput

SCENES = (("dolly", 0), ("orbit", 1), ("pan", 0), ("static", 2))
"""(camera, movers): two clips whose depth can be told from motion, two whose depth cannot."""
HEIGHT, WIDTH, NUM_FRAMES = 240, 416, 33  # ours: the smallest size at which the pictures are worth looking at


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the clips and the build.")] = Path("demo"),
    ray: Annotated[str, typer.Option(help="As in `openuni build`.")] = "auto",
) -> None:
    """Make a few clips (moving camera, moving things), build them and draw them."""
    from openuni.cli.build import print_built
    from openuni.cli.show import show
    from openuni.engine.monitor import Breaker
    from openuni.engine.run import choose_engine
    from openuni.pipelines.build import Build, BuildConfig
    from openuni.pipelines.build import build as run_build

    clips = out / "clips"
    _make_clips(clips)
    config = BuildConfig(source="folder", root=str(clips), out=out / "build")
    engine = choose_engine(ray, None, cores=os.cpu_count() or 1)
    try:
        built = run_build(Build.prepare(config), engine, breaker=Breaker())
    finally:
        engine.close()
    print_built(built)
    show(str(out / "build"), limit=len(SCENES), modality=None, clip=None, out=None, video=True)
    typer.echo(f"index: {out / 'build' / 'index.parquet'}    panels: {out / 'build' / 'show'}")


def _make_clips(folder: Path) -> None:
    """Render the scenes to mp4 files with captions beside them; those that are there are kept."""
    from openuni.benchmark.synth.boxes import scene
    from openuni.engine.atomic import write_bytes
    from openuni.video import encode_rgb_mp4

    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; --out wants a folder.")
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
