"""`openuni unibench`: the benchmark's own clips, rendered with exact truth."""

import os
from pathlib import Path
from typing import Annotated

import typer

from openuni.errors import BadInput

unibench = typer.Typer(no_args_is_help=True, help="Render clips with exact truth, and look at them.")
SHOWN = ("depth", "flow", "segmentation", "densepose", "skeleton")
COLUMNS = 5


@unibench.command("render")
def render(
    out: Annotated[Path, typer.Option(help="Folder for the clips, their truth and the index.", show_default=False)],
    clips: Annotated[int, typer.Option(help="Number of clips. More may be asked for later.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed that scenes are drawn from.")] = 0,
    tier: Annotated[str, typer.Option(help="What draws RGB: fast (numpy). Truth is the same for all.")] = "fast",
    size: Annotated[str, typer.Option(help="Side of the picture in px, or WIDTHxHEIGHT; multiples of 16.")] = "512",
    frames: Annotated[int, typer.Option(help="Frames per clip, at 16 per second.")] = 48,
    families: Annotated[
        list[str] | None,
        typer.Option(
            help="Scene families: objects, one_person, two_people, refraction, camera_only. [default: all]",
            show_default=False,
        ),
    ] = None,
    official: Annotated[
        bool, typer.Option("--official", help="Render the frozen UniBench scenes instead of drawing new ones.")
    ] = False,
    behind_glass: Annotated[
        str, typer.Option(help="What truth tells of glass and water: first_surface, or see_through to what is behind.")
    ] = "first_surface",
    png: Annotated[bool, typer.Option("--png", help="Also write every frame as PNG.")] = False,
    ray: Annotated[
        str, typer.Option(help="auto (RAY_ADDRESS, else Ray on this machine), off, or a cluster's address.")
    ] = "auto",
    workers: Annotated[
        int | None, typer.Option(help="Worker processes or actors. [default: one per core]", show_default=False)
    ] = None,
    retry: Annotated[
        str | None, typer.Option(help="Run clips of these statuses again: error, crash.", show_default=False)
    ] = None,
) -> None:
    """Render clips with exact depth, flow, masks, skeletons and body surface. Run the same command again to resume."""
    from openuni.benchmark.synth.families import FAMILIES
    from openuni.benchmark.synth.files import INDEX
    from openuni.benchmark.synth.job import CONTACT_SHEET, RenderConfig, render_run
    from openuni.engine.run import choose_engine

    width, height = _size(size)
    chosen = [name for text in families or () for name in text.split(",")]
    config = RenderConfig(
        out=out, clips=clips, seed=seed, families=tuple(dict.fromkeys(chosen)) or tuple(FAMILIES), official=official,
        tier=tier, height=height, width=width, num_frames=frames, behind_glass=behind_glass, png=png,
    )  # fmt: skip
    config.check()
    engine = choose_engine(ray, workers, cores=os.cpu_count() or 1)
    try:
        rendered = render_run(config, engine, retry=tuple(retry.split(",")) if retry else ())
    finally:
        engine.close()
    for reason, count in rendered.failed.most_common():
        typer.echo(f"failed    {count:,} clips: {reason}", err=True)
    typer.echo(f"rendered  {rendered.clips:,} clips in {rendered.out}")
    typer.echo(f"index {rendered.out / INDEX}; contact sheet {rendered.out / CONTACT_SHEET}")
    typer.echo(f"look at one with: openuni unibench show {rendered.out / 'clips'}/NAME")


@unibench.command("show")
def show(
    clip: Annotated[Path, typer.Argument(help="A rendered clip's folder, or a rendered folder with --name.")],
    name: Annotated[str | None, typer.Option(help="Which clip of a rendered folder.", show_default=False)] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for picture and video. [default: the clip's folder]", show_default=False),
    ] = None,
    video: Annotated[bool, typer.Option(help="Make an mp4 beside the picture.")] = True,
) -> None:
    """Draw a clip's panel: RGB, depth, flow, masks, body surface and skeleton, a few moments of each."""
    import io

    from PIL import Image

    from openuni.benchmark.synth.files import find_clip, read_clip
    from openuni.engine.atomic import write_bytes
    from openuni.modality import Map
    from openuni.panel import panel, panel_video
    from openuni.sample import Sample
    from openuni.video import encode_rgb_mp4

    if out is not None and out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; --out wants a folder.")
    found = find_clip(clip, name)
    read = read_clip(found)
    times_s = [number / read.fps for number in range(len(read.rgb))]
    maps = read.maps()
    sample = Sample(
        key=read.name,
        caption=read.caption,
        rgb=Map(data=read.rgb, facts={"times_s": times_s, "fps": read.fps}),
        maps=maps,
        absent={modality: "not in this clip's truth" for modality in SHOWN if modality not in maps},
    )
    picture = (out or found) / f"{read.name}.panel.png"
    buffer = io.BytesIO()
    Image.fromarray(panel(sample, SHOWN, columns=COLUMNS)).save(buffer, "PNG")
    write_bytes(picture, buffer.getvalue(), durable=False)
    if video:
        shown = encode_rgb_mp4(panel_video(sample, SHOWN), fps=read.fps)
        write_bytes(picture.with_suffix(".mp4"), shown, durable=False)
    typer.echo(f"{picture}  {read.caption}")


def _size(text: str) -> tuple[int, int]:
    """Read "512" or "832x480" as width and height."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        raise BadInput(f"--size is {text!r}; give a side in px (512) or WIDTHxHEIGHT (832x480).")
    return int(parts[0]), int(parts[-1])
