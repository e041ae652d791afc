"""`openuni unibench training-set`: rendered clips with exact truth, built, to train small models on."""

import os
from pathlib import Path
from typing import Annotated

import typer

from openuni.cli.options import Ray, Workers

RENDERED, HELD_OUT, BUILD = "rendered", "held-out", "build"


def training_set(
    name: Annotated[str, typer.Argument(help="plain or varied.", show_default=False)],
    out: Annotated[Path, typer.Option(help=f"Folder; gets {RENDERED}, {HELD_OUT} and {BUILD}.", show_default=False)],
    clips: Annotated[int | None, typer.Option(help="Training clips. [default: the set's]", show_default=False)] = None,
    ray: Ray = "auto",
    workers: Workers = None,
) -> None:
    """Render a training set and held-out clips from their seeds, and build the training set with its truth.

    Run the same command again to resume; more clips may be asked for later.
    """
    from openuni.benchmark.synth.job import render_run
    from openuni.benchmark.synth.training_sets import TRAINING_SETS
    from openuni.engine.monitor import Breaker
    from openuni.engine.run import choose_engine
    from openuni.errors import UnknownName
    from openuni.pipelines.build import Build, BuildConfig, build

    if name not in TRAINING_SETS:
        raise UnknownName("training set", name, TRAINING_SETS)
    made = TRAINING_SETS[name]
    engine = choose_engine(ray, workers, cores=os.cpu_count() or 1)
    try:
        for config in (made.held_out(out / HELD_OUT), made.training(out / RENDERED, clips)):
            rendered = render_run(config, engine)
            typer.echo(f"rendered  {rendered.clips:,} clips in {rendered.out}", err=True)
        built = build(
            Build.prepare(
                BuildConfig(source="synthetic", root=str(out / RENDERED), out=out / BUILD, experts=("truth",))
            ),
            engine,
            breaker=Breaker(),
        )
    finally:
        engine.close()
    typer.echo(f"train with --data {built.out}; held-out clips: {out / HELD_OUT}")
