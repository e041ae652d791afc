"""`openuni bench --videos`: a folder of anybody's videos on VBench's dimensions, and what is printed of them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from openuni.cli.options import statuses

if TYPE_CHECKING:
    from openuni.benchmark.vbench.videos import Scored

HINTS = {
    "videos_named_twice": "the last prompt of each holds",
    "prompts_that_differ_only_by_case": "their videos are one file where case does not count",
    "videos_without_a_prompt": "overall consistency leaves them out",
    "missing_videos": "VBench asks for five of each prompt",
}


def score_folder(
    videos: Path,
    suites: tuple[str, ...],
    out: Path | None,
    *,
    prompts: Path | None,
    results: tuple[Path, ...],
    weights: Path | None,
    limit: int | None,
    unit_size: int | None,
    spread: tuple[str, int | None, float, str | None],
) -> None:
    """Score and print."""
    from openuni.benchmark.headline import VBENCH
    from openuni.benchmark.vbench.videos import VideosConfig, score_videos
    from openuni.device import pick_device
    from openuni.engine.monitor import Breaker
    from openuni.engine.run import choose_engine
    from openuni.errors import BadInput

    if other := [name for name in suites if name != VBENCH]:
        raise BadInput(f"--suite {other[0]}: --videos is scored by {VBENCH} alone. Leave --suite out.")
    ray, workers, max_error_fraction, retry = spread
    # Networks take 4 GB in each worker, and torch uses every core in one; where there are GPUs, Ray deals them out.
    if workers is None and (ray == "off" or pick_device().type == "cpu"):
        workers = 1
    engine = choose_engine(ray, workers, cores=os.cpu_count() or 1)
    config = VideosConfig(
        videos=videos, out=out or Path("data", f"vbench-{videos.absolute().name}"), prompts=prompts, results=results,
        weights=None if weights is None else str(weights), limit=limit, unit_size=unit_size,
    )  # fmt: skip
    try:
        scored = score_videos(config, engine, breaker=Breaker(max_error_fraction), retry=statuses(retry))
    finally:
        engine.close()
    print_scored(scored)


def print_scored(scored: "Scored") -> None:
    """Print each dimension, the scores, what is missing, and where everything is."""
    from openuni.benchmark.records import RECORDS
    from openuni.benchmark.results import RESULTS

    other = "".join(f", {count:,} {why}" for why, count in scored.statuses.most_common() if why != "ok")
    typer.echo(f"\n{scored.system}: {scored.statuses['ok']:,} of {scored.statuses.total():,} videos scored{other}")
    for line in score_lines(scored.scores):
        typer.echo(f"  {line}")
    for line in missing_lines(scored.missing):
        typer.echo(f"  {line}")
    for word, count in scored.counts.items():
        hint = f" ({HINTS[word]})" if word in HINTS else ""
        typer.echo(f"{count:,} {word.replace('_', ' ')}{hint}", err=True)
    typer.echo(f"every number of every video: {scored.out / RECORDS}; the suite's: {scored.out / RESULTS}")


def score_lines(scores: dict[str, Any]) -> list[str]:
    """Return one line for each dimension, raw x 100, then VBench's three scores."""
    lines = []
    for name, one in scores.get("dimensions", {}).items():
        count = f"{one['clips']:,} clips"
        if one["without"]:
            count += f", {one['without']:,} without ({one['reason'].replace('_', ' ')})"
        value = "   n/a" if one["percent"] is None else f"{one['percent']:6.2f}"
        lines.append(f"{name:<24}{value}  {count}")
    for name, value in scores.get("imported", {}).items():
        lines.append(f"{name:<24}{100 * value:6.2f}  VBench's own result")
    if scores:
        for name in ("quality", "semantic", "total"):
            value = "n/a: a dimension of it is missing" if scores[name] is None else f"{100 * scores[name]:.2f}"
            lines.append(f"{name} score (normalised)  {value}")
    return lines


def missing_lines(missing: dict[str, str]) -> list[str]:
    """Return one line for each dimension without weights: what is missing and the command that gets it."""
    return [f"n/a  {name}: {why}" for name, why in missing.items()]
