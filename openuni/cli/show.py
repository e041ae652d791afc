"""`openuni show`: pictures and videos of a build's clips."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openuni.errors import BadInput

if TYPE_CHECKING:
    from openuni.sample import SampleReader

COLUMNS = 5


def show(
    target: Annotated[str, typer.Argument(help="A build's folder, one of its shards, or a clip's key.")],
    modality: Annotated[
        list[str] | None, typer.Option(help="Draw only this modality; may be repeated. [default: all]")
    ] = None,
    clip: Annotated[list[str] | None, typer.Option(help="Draw only the clip of this key; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(help="Draw at most this many clips.", min=1)] = 20,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the pictures. [default: show/ in the build]", show_default=False)
    ] = None,
    video: Annotated[bool, typer.Option(help="Make an mp4 beside each picture.")] = True,
) -> None:
    """Draw clips: a panel picture (moments across, modalities down) and an mp4 of all modalities side by side."""
    from PIL import Image

    from openuni.engine.atomic import write_bytes
    from openuni.panel import panel, panel_video
    from openuni.sample import SampleReader
    from openuni.video import encode_rgb_mp4

    build, keys = _locate(target, list(clip or ()))
    reader = SampleReader(build, modality)
    numbers = [reader.find(key) for key in keys] if keys else list(range(len(reader)))
    folder = out or build / "show"
    if out is not None and out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; --out wants a folder.")
    for number in numbers[:limit]:
        sample = reader[number]
        folder.mkdir(parents=True, exist_ok=True)
        picture = folder / f"{sample.key}.png"
        Image.fromarray(panel(sample, reader.modalities, columns=COLUMNS)).save(picture)
        if video:
            shown = encode_rgb_mp4(panel_video(sample, reader.modalities), fps=sample.rgb.facts["fps"])
            write_bytes(picture.with_suffix(".mp4"), shown, durable=False)
        typer.echo(f"{picture}  {sample.facts.get('source_key', '')}  {_states(reader, number)}")
    if len(numbers) > limit:
        typer.echo(f"{len(numbers) - limit} more clips; --limit {len(numbers)} draws them all.", err=True)


def _locate(target: str, keys: list[str]) -> tuple[Path, list[str]]:
    """Find the build a target belongs to, and the keys it stands for.

    Raises:
        BadInput: it is neither a build, nor a shard of one, nor a clip of a build under data/.
    """
    import pyarrow.parquet as pq

    from openuni.sample import INDEX

    path = Path(target)
    if path.is_dir():
        return path, keys
    if path.suffix == ".tar" and path.is_file():
        build = path.absolute().parents[3] if len(path.absolute().parents) > 3 else path.parent
        if not (build / INDEX).exists():
            raise BadInput(f"{path} is not a shard of a finished build: {build / INDEX} not found.")
        name = path.absolute().relative_to(build).as_posix()
        column = f"{name.split('/')[1]}.shard"
        index = pq.read_table(build / INDEX, columns=["key", column])
        inside = [row["key"] for row in index.to_pylist() if row[column] == name]
        if not inside:
            raise BadInput(f"No clip of {build / INDEX} lies in {path}: it was made with other parameters.")
        return build, keys or inside
    for index_path in sorted(Path("data").glob(f"*/{INDEX}")):
        if target in pq.read_table(index_path, columns=["key"])["key"].to_pylist():
            return index_path.parent, [target]
    raise BadInput(f"{target} is no build's folder, no shard, and no clip of a build under data/.")


def _states(reader: "SampleReader", number: int) -> str:
    words = []
    for name in reader.modalities:
        present = reader.index[f"{name}.present"][number].as_py()
        words.append(name if present else f"{name} absent ({reader.index[f'{name}.reason'][number].as_py()})")
    return ", ".join(words)
