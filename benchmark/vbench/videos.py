"""Videos: a folder of anybody's videos scored on VBench's dimensions, as a resumable run with records and results."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from openuni.benchmark.headline import VBENCH
from openuni.benchmark.records import RECORDS, Record, write_records
from openuni.benchmark.report.answers import VIDEOS
from openuni.benchmark.results import RESULTS, SCHEMA, about_metric, result_lines
from openuni.benchmark.vbench.aggregate import read_results, section
from openuni.benchmark.vbench.dimensions import PREFIX, PROTOCOL
from openuni.benchmark.vbench.frames import GIF, ClipFrames, read_video
from openuni.benchmark.vbench.listing import Listed, list_videos, prompt_of
from openuni.benchmark.vbench.records import rows
from openuni.benchmark.vbench.scorer import STATIC, Scorer, missing_weights
from openuni.clip import Clip, make_clip_id
from openuni.device import pick_device
from openuni.engine.atomic import sha256_of, write_bytes
from openuni.engine.job import Job
from openuni.engine.ledger import read_ledger
from openuni.engine.monitor import Breaker
from openuni.engine.retry import check_statuses, reopen
from openuni.engine.run import Engine, run
from openuni.engine.stage import Column, Needs, Result, Stage
from openuni.errors import BadInput, RunFailed
from openuni.modality import Map
from openuni.run import RunFolder, versions

KIND = "bench --videos"
SOURCE = "videos"
RECORDED_AS = "records"
TASK, MODALITY = "text", "rgb"
CACHE = "features"
VERSION = "1"
"""Raise it when the same video gets other numbers from the same features."""
NOT_FROM_GIF = {name: "gif_is_refused_by_vbench" for name in ("motion_smoothness", "dynamic_degree", STATIC)}
"""VBench reads GIFs for the other dimensions only; here all are computed from the same frames, and these are marked."""


@dataclass(frozen=True, kw_only=True)
class VideosConfig:
    """Everything that decides what is scored."""

    videos: Path
    out: Path
    prompts: Path | None = None
    """JSON file, see listing.py; None: prompts are the videos' names."""
    results: tuple[Path, ...] = ()
    """Results files of VBench itself, for the dimensions that are not computed here."""
    weights: str | None = None
    limit: int | None = None
    unit_size: int | None = None
    system: str = ""
    """What tables call who made the videos; empty: the folder's name."""


@dataclass
class Scored:
    """What a run did, for the closing lines."""

    out: Path
    system: str
    records: list[Record]
    counts: Counter[str]
    """What in folder and prompts does not fit."""
    statuses: Counter[str]
    """ "ok", or "status: reason" -> videos."""
    missing: dict[str, str]
    """Dimension -> why its weights are not here and what gets them."""
    scores: dict[str, Any]
    """See aggregate.section."""


@dataclass(kw_only=True)
class VideoStage(Stage):
    """Scores one video. All numbers are one JSON text in the ledger.

    Raises:
        BadInput: it cannot be decoded.
    """

    decided: str
    """What decides the numbers besides the video: see Scorer.describe."""
    filtered: bool
    weights: str | None = None
    cache: str = ""

    name: ClassVar[str] = "vbench"
    version: ClassVar[str] = VERSION
    columns: ClassVar[tuple[Column, ...]] = (Column(RECORDED_AS, "text", "Every dimension, JSON."),)

    def __post_init__(self) -> None:
        """Ask for the GPU where there is one."""
        if pick_device().type == "cuda":
            self.needs = Needs(cpus=4.0, gpus=1.0, vram_gb=40.0)  # type: ignore[misc]

    def parameters(self) -> dict[str, Any]:
        """What decides the numbers; where files lie does not."""
        return {"decided": self.decided, "filtered": self.filtered}

    def setup(self) -> None:
        """Find the weights; networks are loaded when a video needs them."""
        self._scorer = Scorer(self.weights, cache=Path(self.cache))

    def __call__(self, view: "VideoView") -> Result:
        """Score one video."""
        about = view.clip.published
        clip = ClipFrames(content=str(about["sha256"]), read=lambda: read_video(view.path))
        dimensions = str(about["dimensions"]).split(",")
        values = self._scorer.score(clip, prompt=view.clip.caption, dimensions=dimensions)
        flags = NOT_FROM_GIF if view.path.suffix.lower() == GIF else {}
        return Result({RECORDED_AS: json.dumps(rows(values, flags=flags, filtered=self.filtered), allow_nan=False)})


class VideoView:
    """What the stage is called with."""

    def __init__(self, clip: Clip, folder: Path) -> None:
        self.clip, self.path = clip, folder / clip.path
        self.maps: dict[str, Map] = {}

    def describe(self) -> dict[str, Any]:
        """See openuni.engine.job.View."""
        return dict(self.clip.published)

    def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class OpenVideo:
    """Opens videos. Pickles."""

    folder: str

    def __call__(self, clip: Clip) -> VideoView:
        """Open a video; nothing is read yet."""
        return VideoView(clip, Path(self.folder))


def score_videos(
    config: VideosConfig, engine: Engine, *, breaker: Breaker, retry: Sequence[str] = (), quiet: bool = False
) -> Scored:
    """Score a folder of videos.

    Args:
        config: what to score.
        engine: what runs the stage.
        breaker: when to stop because too much fails.
        retry: run videos of these statuses again: "error", "crash".
        quiet: draw no progress.

    Raises:
        BadInput: videos, prompts or results cannot be used; `out` is not ours or holds scores of other videos.
        RunFailed: the run could not be finished, or no video could be scored.
    """
    check_statuses(retry)
    if config.limit is not None and config.limit < 1:
        raise BadInput(f"--limit is {config.limit}; give at least 1.")
    imported = _imported(config.results)
    listing = list_videos(config.videos, config.prompts)
    filtered = any(one.static for one in listing.videos)
    weights = None if config.weights is None else str(Path(config.weights).absolute())
    scorer = Scorer(weights)
    clips = [_clip(config.videos, one) for one in islice(listing.videos, config.limit)]
    stage = VideoStage(
        decided=scorer.describe(), filtered=filtered, weights=weights, cache=str(config.out.absolute() / CACHE)
    )
    system = config.system or config.videos.absolute().name
    with RunFolder(config.out, KIND) as folder:
        before = folder.read().get("config", {}).get("videos")
        if before not in (None, str(config.videos.absolute())):
            raise BadInput(f"{config.out} holds scores of {before}, not of {config.videos}. Choose another --out.")
        folder.record({**asdict(config), "videos": str(config.videos.absolute())})
        job = Job(
            name="vbench", out=config.out.absolute(), stages=(stage,),
            open_view=OpenVideo(str(config.videos.absolute())),
        )  # fmt: skip
        job.plan.append(clips, unit_size=config.unit_size)
        reopen(job, retry)
        run(job, engine, event=folder.event, breaker=breaker, quiet=quiet)
        table, _ = read_ledger(job.out, stage, job.fingerprints[stage.name], job.plan.names())
        ledger = {row["clip_id"]: row for row in table.to_pylist()}
        records, statuses = _records(clips, ledger, system)
        write_records(folder.folder / RECORDS, records)
        found = section(records, imported)
        scores = found[0] if found else {}
        _write_results(
            folder.folder / RESULTS, config, system, records, clips, listing.counts, statuses, scores, scorer
        )
        folder.event("scored", clips=len(clips), records=len(records))
    if not statuses["ok"]:
        raise RunFailed(f"None of {len(clips)} videos could be scored. Commonest: {statuses.most_common(1)[0][0]}.")
    missing = missing_weights(scorer)
    if not filtered:
        missing.pop(STATIC, None)
    return Scored(config.out.absolute(), system, records, listing.counts, statuses, missing, scores)


def _imported(paths: Sequence[Path]) -> dict[str, float]:
    found: dict[str, float] = {}
    for path in paths:
        for name, value in read_results(path).items():
            if found.setdefault(name, value) != value:
                raise BadInput(f"{path}: {name} is {value} here and {found[name]} in another file. Give one of them.")
    return found


def _clip(folder: Path, video: Listed) -> Clip:
    digest = sha256_of(folder / video.file)
    dimensions = (*video.dimensions, STATIC) if video.static else video.dimensions
    about: dict[str, float | str] = {"sha256": digest, "dimensions": ",".join(dimensions)}
    # A clip's identity holds all that is asked of it, so that other prompts or dimensions are scored anew.
    content = f"{digest} {video.prompt} {about['dimensions']}"
    return Clip(
        clip_id=make_clip_id(SOURCE, video.file, content=content), source=SOURCE, source_key=video.file,
        source_video=prompt_of(video.file), path=video.file, caption=video.prompt, group="videos", published=about,
    )  # fmt: skip


def _records(
    clips: Sequence[Clip], ledger: Mapping[str, Mapping[str, Any]], system: str
) -> tuple[list[Record], Counter[str]]:
    """Records of every video; one that failed has a row for each of its dimensions, without a value."""
    records, statuses = [], Counter[str]()
    for clip in clips:
        row = ledger[clip.clip_id]
        why = "" if row["status"] == "ok" else f"{row['status']}:{row['reason']}"
        statuses[why.replace(":", ": ", 1) or "ok"] += 1
        about = (VBENCH, TASK, MODALITY, system, clip.source_key, clip.source_video, clip.group, 0)
        if why:
            for name in str(clip.published["dimensions"]).split(","):
                records.append(Record(*about, PREFIX + name, PROTOCOL, None, 0, why.replace(" ", "_")))
            continue
        for metric, protocol, value, valid, flags in json.loads(row[f"vbench.{RECORDED_AS}"]):
            records.append(Record(*about, metric, protocol, value, valid, " ".join(flags)))
    return records, statuses


def _write_results(
    path: Path,
    config: VideosConfig,
    system: str,
    records: Sequence[Record],
    clips: Sequence[Clip],
    counts: Counter[str],
    statuses: Counter[str],
    scores: Mapping[str, Any],
    scorer: Scorer,
) -> None:
    """Write results.json, as a model's bench does as far as it applies."""
    samples = sorted((clip.source_key, str(clip.published["sha256"])) for clip in clips)
    told = {
        "schema": SCHEMA,
        "label": config.videos.absolute().name,
        "system": system,
        "model": {"asked": str(config.videos), "kind": VIDEOS},
        "suites": {VBENCH: {"title": "VBench", "version": f"{VERSION} {scorer.describe()}"}},
        "data": {
            "folder": str(config.videos.absolute()),
            "label": config.videos.absolute().name,
            "samples": len(samples),
            "sha256": hashlib.sha256(json.dumps(samples).encode()).hexdigest(),
            "left_out": dict(counts),
        },
        "run": {"limit": config.limit, "prompts": None if config.prompts is None else str(config.prompts)},
        "versions": versions(),
        "records": {"file": RECORDS, "rows": len(records), "sha256": sha256_of(path.with_name(RECORDS))},
        "questions": [
            {"suite": VBENCH, "task": TASK, "modality": MODALITY, "asked": statuses.total(), "counts": dict(statuses)}
        ],
        "metrics": {name: about_metric(name) for name in dict.fromkeys(one.metric for one in records)},
        "results": result_lines(records, [VBENCH]),
        "vbench": [scores] if scores else [],
    }  # fmt: skip
    write_bytes(path, json.dumps(told, indent=1, default=str, allow_nan=False).encode() + b"\n")
