"""`openuni unibench`: clips with exact truth, rendered by us or imported from others."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openuni.cli.options import Ray, Retry, Workers, statuses
from openuni.errors import BadInput

if TYPE_CHECKING:
    from openuni.benchmark.importers.base import Importer

unibench = typer.Typer(no_args_is_help=True, help="Render or import clips with exact truth, and look at them.")
SHOWN = ("depth", "flow", "segmentation", "densepose", "skeleton")
COLUMNS = 5

# Options that both import commands have.
Out = Annotated[Path, typer.Option(help="Folder for the clips, their truth and the index.", show_default=False)]
FrameRange = Annotated[
    str | None,
    typer.Option(help="FIRST:LAST, numbers as in the file names, both included. [default: all]", show_default=False),
]
Fps = Annotated[float | None, typer.Option(help="Frames a second. [default: the kind's own]", show_default=False)]
ClipFrames = Annotated[int, typer.Option(help="Cut longer scenes into clips of at most so many frames.")]
Limit = Annotated[int | None, typer.Option(help="Import only the first clips.", show_default=False)]


@unibench.command("render")
def render(
    out: Annotated[Path, typer.Option(help="Folder for the clips, their truth and the index.", show_default=False)],
    clips: Annotated[int, typer.Option(help="Number of clips. More may be asked for later.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed that scenes are drawn from.")] = 0,
    tier: Annotated[
        str, typer.Option(help="What draws RGB: fast (numpy), photo (path-traced). Truth is the same for all.")
    ] = "fast",
    size: Annotated[str, typer.Option(help="Side of the picture in px, or WIDTHxHEIGHT; multiples of 8.")] = "512",
    frames: Annotated[int, typer.Option(help="Frames per clip, at 16 per second.")] = 48,
    families: Annotated[
        list[str] | None,
        typer.Option(
            help="Scene families: objects, one_person, two_people, refraction, camera_only (default: these five); "
            "plain and varied, to train small models on; crossing, two people who pass each other.",
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
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Set a parameter of the tier: 'photo.samples=16'.", show_default=False),
    ] = None,
    ray: Ray = "auto",
    workers: Workers = None,
    retry: Retry = None,
) -> None:
    """Render clips with exact depth, flow, masks, skeletons and body surface. Run the same command again to resume."""
    from openuni.benchmark.synth.families import MIXED
    from openuni.benchmark.synth.files import INDEX
    from openuni.benchmark.synth.folder_job import CONTACT_SHEET
    from openuni.benchmark.synth.job import RenderConfig, render_run
    from openuni.config import parse_settings, refuse_unknown_parts
    from openuni.engine.run import choose_engine

    width, height = _size(size)
    settings = parse_settings(set_ or ())
    refuse_unknown_parts(settings, [tier])
    chosen = [name for text in families or () for name in text.split(",")]
    config = RenderConfig(
        out=out, clips=clips, seed=seed, families=tuple(dict.fromkeys(chosen)) or MIXED, official=official,
        tier=tier, settings=settings.get(tier, {}), height=height, width=width, num_frames=frames,
        behind_glass=behind_glass, png=png,
    )  # fmt: skip
    config.check()
    engine = choose_engine(ray, workers, cores=os.cpu_count() or 1)
    try:
        rendered = render_run(config, engine, retry=statuses(retry))
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


@unibench.command("import")
def import_dataset(
    kind: Annotated[str, typer.Argument(help="ue, sintel, spring, tartanair, kubric or released.", show_default=False)],
    root: Annotated[Path, typer.Option(help="Folder of the data.", show_default=False)],
    out: Out,
    frames: FrameRange = None,
    fps: Fps = None,
    clip_frames: ClipFrames = 100,
    limit: Limit = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="An option of the kind, as in sintel.rgb=clean. See docs/importers.md.", show_default=False
        ),
    ] = None,
    ray: Ray = "auto",
    workers: Workers = None,
    retry: Retry = None,
) -> None:
    """Import a dataset with its truth as a rendered folder. Run the same command again to resume."""
    from openuni.benchmark.importers.job import make_importer
    from openuni.config import parse_settings, refuse_unknown_parts
    from openuni.errors import UnknownName
    from openuni.table import IMPORTERS

    if kind not in IMPORTERS:
        raise UnknownName("importer", kind, IMPORTERS)
    settings = parse_settings(set_ or ())
    refuse_unknown_parts(settings, [kind])
    given = {"frames": frames, "fps": fps, "clip_frames": clip_frames}
    fixed = {name: value for name, value in given.items() if value is not None}
    _import(make_importer(kind, root, settings.get(kind), **fixed), out, limit, ray, workers, retry)


@unibench.command("import-ue")
def import_ue(
    root: Annotated[
        Path, typer.Option(help="Folder that Movie Render Queue wrote to, or a folder of such.", show_default=False)
    ],
    out: Out,
    rgb_files: Annotated[str, typer.Option(help="Pattern of the colour files: EXR, PNG or JPEG.")] = "*.exr",
    depth_files: Annotated[str, typer.Option(help="Pattern of the EXR with depth; none if there is none.")] = "*.exr",
    motion_files: Annotated[
        str, typer.Option(help="Pattern of the EXR with motion vectors; none if there is none.")
    ] = "*.exr",
    rgb_channels: Annotated[str, typer.Option(help="Channels of colour in an EXR.")] = "R,G,B",
    depth_channel: Annotated[str, typer.Option(help="Channel of depth.")] = "FinalImageMovieRenderQueue_WorldDepth.R",
    motion_channels: Annotated[
        str, typer.Option(help="Channels of motion, x and y.")
    ] = "FinalImageMovieRenderQueue_MotionVectors.R,FinalImageMovieRenderQueue_MotionVectors.G",
    rgb_transfer: Annotated[str, typer.Option(help="What colours of an EXR are: linear, or srgb.")] = "linear",
    unit: Annotated[str, typer.Option(help="Unit of depth: cm, m or mm.")] = "cm",
    depth_kind: Annotated[
        str, typer.Option(help="planar (along the optical axis), or distance (along the ray; needs --fov).")
    ] = "planar",
    fov: Annotated[
        float | None,
        typer.Option(help="Horizontal field of view in degrees; writes intrinsics too.", show_default=False),
    ] = None,
    sky_from_m: Annotated[
        float | None,
        typer.Option(
            help="Depth in metres from which on it is sky. [default: 65504 units, half's largest; 10 km in float]",
            show_default=False,
        ),
    ] = None,
    flow_direction: Annotated[
        str, typer.Option(help="backward (motion since the frame before, Unreal's), or forward (to the next frame).")
    ] = "backward",
    flow_encoding: Annotated[
        str,
        typer.Option(help="mrq (0 to 1, 0.5 is none), ndc (-1 to 1 over the picture), screen (part of it), or pixels."),
    ] = "mrq",
    flow_scale: Annotated[float, typer.Option(help="Factor on motion vectors; -1 turns them round.")] = 1.0,
    frames: FrameRange = None,
    fps: Annotated[float, typer.Option(help="Frames a second.")] = 30.0,
    clip_frames: ClipFrames = 100,
    limit: Limit = None,
    ray: Ray = "auto",
    workers: Workers = None,
    retry: Retry = None,
) -> None:
    """Import Unreal renders: Movie Render Queue's EXR with depth and motion vectors, as a rendered folder."""
    from openuni.benchmark.importers.job import make_importer

    importer = make_importer(
        "ue", root, rgb_files=rgb_files, depth_files=None if depth_files.lower() == "none" else depth_files,
        motion_files=None if motion_files.lower() == "none" else motion_files, rgb_channels=rgb_channels,
        depth_channel=depth_channel, motion_channels=motion_channels, rgb_transfer=rgb_transfer, unit=unit,
        depth_kind=depth_kind, fov=fov, sky_from_m=sky_from_m, motion_direction=flow_direction,
        motion_encoding=flow_encoding, motion_scale=flow_scale, frames=frames, fps=fps, clip_frames=clip_frames,
    )  # fmt: skip
    _import(importer, out, limit, ray, workers, retry)


def _import(
    importer: "Importer", out: Path, limit: int | None, ray: str, workers: int | None, retry: str | None
) -> None:
    from openuni.benchmark.importers.job import import_run
    from openuni.benchmark.synth.files import CLIPS, INDEX
    from openuni.engine.run import choose_engine

    engine = choose_engine(ray, workers, cores=os.cpu_count() or 1)
    try:
        imported = import_run(importer, out, engine, retry=statuses(retry), limit=limit)
    finally:
        engine.close()
    for reason, count in imported.failed.most_common():
        typer.echo(f"failed    {count:,} clips: {reason}", err=True)
    typer.echo(f"imported  {imported.clips:,} clips to {imported.out}; index {imported.out / INDEX}")
    typer.echo(f"look at one with: openuni unibench show {imported.out / CLIPS}/NAME")


def _size(text: str) -> tuple[int, int]:
    """Read "512" or "832x480" as width and height."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        raise BadInput(f"--size is {text!r}; give a side in px (512) or WIDTHxHEIGHT (832x480).")
    return int(parts[0]), int(parts[-1])
