"""`openuni unibench curate`: clips of a build frozen as a benchmark of generation."""

from pathlib import Path
from typing import Annotated

import typer


def curate_build(
    build: Annotated[Path, typer.Argument(metavar="BUILD", help="A finished build's folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the frozen set.", show_default=False)],
    clips: Annotated[int, typer.Option(help="Number of clips.", min=1)] = 200,
    require: Annotated[
        list[str] | None,
        typer.Option(
            help="Modality that every clip must have, one that will be scored; may be repeated. [default: any one]",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="validation (source videos that training never reads), train, or all.")
    ] = "validation",
    captions: Annotated[bool, typer.Option(help="Only clips that have a caption.")] = True,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            help="Rule over the build's columns, as 'motion.flow_pct_per_s > 2'; may be repeated.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed chooses other clips.", min=0)] = 0,
) -> None:
    """Freeze clips of a build as a benchmark: caption, conditions, masks and a phrase for each object, with hashes.

    Clips are spread over people counts, motion and source videos. The same command again changes no byte.
    """
    from openuni.benchmark.curate.frozen_set import MANIFEST
    from openuni.benchmark.curate.job import CurateConfig, curate

    config = CurateConfig(
        build=build, out=out, clips=clips, require=tuple(dict.fromkeys(require or ())), split=split, captions=captions,
        rules=tuple(rule or ()), seed=seed,
    )  # fmt: skip
    done = curate(config)
    for step in done.choice.steps:
        why = ", ".join(f"{count:,} {reason}" for reason, count in step.reasons.items())
        typer.echo(f"  {step.before:>7,} -> {step.after:>7,}  {step.rule}{f'  ({why})' if why else ''}")
    for cell, count in sorted(done.cells.items()):
        typer.echo(f"  {count:>7,}  {cell}")
    if not done.choice.people:
        typer.echo("people are not counted in this build (no filter people, no skeletons)", err=True)
    for reason, count in done.failed.most_common():
        typer.echo(f"left out  {count:,} damaged clips: {reason}", err=True)
    maps = ", ".join(f"{name} {count:,}" for name, count in done.modalities.most_common())
    typer.echo(f"froze {done.samples:,} clips in {done.out}: {maps or 'no maps'}; {done.objects:,} objects")
    typer.echo(f"{done.out / MANIFEST}  sha256 {done.manifest['sha256'][:16]}")
