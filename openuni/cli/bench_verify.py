"""`openuni bench verify`: does the judge say what it must of answers whose worth is known?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from openuni.benchmark.synth.truth import Truth


def verify_bench(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Rendered or imported folder. [default: frozen scenes, made on the spot]", show_default=False
        ),
    ] = None,
    scenes: Annotated[int, typer.Option(help="How many scenes, at least 2.", min=2)] = 5,
    side: Annotated[int, typer.Option(help="Side of scenes made on the spot, px; a multiple of 16.")] = 96,
    frames: Annotated[int, typer.Option(help="Frames of scenes made on the spot.", min=2)] = 6,
) -> None:
    """Score the truth itself, other scenes' truth, and constant and inverted answers; exit 1 if a number is wrong."""
    from openuni.benchmark.verify import verify
    from openuni.errors import RunFailed

    words = {True: "ok  ", False: "FAIL", None: "--  "}
    failed, passed = [], 0
    for check in verify(_truths(data, scenes, side, frames)):
        typer.echo(f"{words[check.passed]}  {check.modality:12}  {check.name:8}  {check.told}")
        passed += check.passed is True
        failed += [f"{check.modality} {check.name}"] if check.passed is False else []
    if not failed and not passed:
        raise RunFailed("Nothing could be checked: give other scenes, or leave out --data.")
    if failed:
        raise RunFailed(f"{len(failed)} checks failed: {', '.join(failed)}. Numbers of this installation are wrong.")


def _truths(data: Path | None, scenes: int, side: int, frames: int) -> "list[Truth]":
    from openuni.benchmark.synth.files import clip_names, read_truth
    from openuni.benchmark.synth.frozen import official_scene
    from openuni.benchmark.synth.render import check_size, render_clip

    if data is not None:
        return [read_truth(data / "clips" / name) for name in clip_names(data)[:scenes]]
    check_size(side, side)
    made = (official_scene(number, frames) for number in range(scenes))
    return [render_clip(scene, height=side, width=side, tier=None).truth for scene in made]
