"""`openuni train`: a unified model from builds."""

from pathlib import Path
from typing import Annotated

import typer

from openuni.errors import BadInput, UnknownName

DATA, OUT = Path("data"), Path("ckpt")


def train(
    data: Annotated[
        list[str] | None, typer.Option(help="Folder of a build; may be repeated. [default: all under data/]")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="See openuni list models. [default: what fits this machine]")
    ] = None,
    init: Annotated[
        str | None, typer.Option(help="Weights to start from: folder, file, Hub id, or none. [default: the preset's]")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = OUT,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="steps=20, tasks.shift=3, loader.max_upscale=2; may be repeated.")
    ] = None,
    ablation: Annotated[
        str | None, typer.Option(help="One of the paper's: rgb_only, only_flow, no_switcher, ...")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the newest checkpoint in --out.")] = False,
    config: Annotated[Path | None, typer.Option(help="run.json of another run: the same settings again.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and what it costs.")] = False,
    ray: Annotated[str, typer.Option(help="off; auto or an address: on a Ray cluster by Ray Train.")] = "off",
    ray_workers: Annotated[
        str, typer.Option(help="Ranks on the Ray cluster: 4; or 2:8, as many as there are at a start.")
    ] = "1",
) -> None:
    """Train one network on RGB and all modalities. torchrun starts it on several GPUs, --ray on a cluster."""
    from openuni.model.ablations import ABLATIONS
    from openuni.model.launch import Settings, launch, prepared

    if ablation is not None and ablation not in ABLATIONS:
        raise UnknownName("ablation", ablation, ABLATIONS)
    changes = (*ABLATIONS.get(ablation or "", ()), *(set_ or ()))
    if config is not None:
        settings = Settings.from_run(config, out=out, resume=resume, device=device)
    else:
        settings = Settings(
            data=tuple(data or _builds()),
            preset=preset or "",
            init=init or "",
            out=str(out),
            changes=changes,
            resume=resume,
            device=device,
        )
    if dry_run:
        for line in prepared(settings).costs():
            typer.echo(line)
        return
    launch(settings, ray=ray, workers=_span(ray_workers), echo=lambda text: typer.echo(text, err=True))
    typer.echo(str(out))


def _span(text: str) -> tuple[int, int]:
    """Least and most workers. Raises BadInput for anything but N or N:M with 1 <= N <= M."""
    low, colon, high = text.partition(":")
    if not low.isdigit() or (colon and not high.isdigit()) or not 1 <= int(low) <= int(high or low):
        raise BadInput(f"--ray-workers {text!r} is not understood; write 4, or 2:8 for 2 to 8.")
    return int(low), int(high or low)


def _builds() -> list[str]:
    """The builds under data/.

    Raises:
        BadInput: there is none.
    """
    found = sorted(str(path.parent) for path in DATA.glob("*/index.parquet"))
    if not found:
        raise BadInput(f"No build found under {DATA}/. Make one (openuni build --source NAME), or give --data DIR.")
    return found
