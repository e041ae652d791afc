"""The render run: scenes to a rendered folder on any engine, resumable clip by clip."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from openuni.benchmark.synth.families import FAMILIES, MIXED, make_scene, numbered
from openuni.benchmark.synth.files import CLIPS, write_clip
from openuni.benchmark.synth.folder_job import FolderView, index_schema, refuse_other, sweep, write_index
from openuni.benchmark.synth.frozen import OFFICIAL_CLIPS, OFFICIAL_FRAMES, OFFICIAL_SEED, official_scene
from openuni.benchmark.synth.render import Tier, check_size, make_tier, render_clip
from openuni.benchmark.synth.scene import Scene
from openuni.benchmark.synth.truth import BEHIND_GLASS
from openuni.clip import Clip, make_clip_id
from openuni.engine.job import Job
from openuni.engine.ledger import read_ledger
from openuni.engine.monitor import Breaker
from openuni.engine.retry import check_statuses, reopen
from openuni.engine.run import Engine, run
from openuni.engine.stage import Column, Result, Stage
from openuni.errors import BadInput, RunFailed, UnknownName
from openuni.run import RunFolder, versions

SOURCE = "unibench"
MAX_FRAMES = 1000  # ours: a clip is held in memory, 0.35 GB at 48 frames of 512 x 512
DECIDING = ("openuni", "numpy", "mujoco-core", "embreex")
"""Packages whose versions are in the index: they can change a clip."""


@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """Everything that decides what a render run writes."""

    out: Path
    """The rendered folder."""
    clips: int = OFFICIAL_CLIPS
    """How many; a later run into the same folder may ask for more."""
    seed: int = 0
    families: tuple[str, ...] = MIXED
    official: bool = False
    """Render the frozen set instead of scenes drawn from the seed."""
    tier: str = "fast"
    settings: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the tier, as text."""
    height: int = 512
    width: int = 512
    num_frames: int = OFFICIAL_FRAMES
    behind_glass: str = "first_surface"
    png: bool = False

    def check(self) -> None:
        """Raise BadInput unless this can be rendered."""
        check_size(self.height, self.width)
        for family in self.families:
            if family not in FAMILIES:
                raise UnknownName("family", family, FAMILIES)
        if self.behind_glass not in BEHIND_GLASS:
            raise UnknownName("policy behind glass", self.behind_glass, BEHIND_GLASS)
        longest = OFFICIAL_FRAMES if self.official else MAX_FRAMES
        for option, value, highest in (
            ("clips", self.clips, OFFICIAL_CLIPS if self.official else 10**9),
            ("frames", self.num_frames, longest),
        ):
            if not 1 <= value <= highest:
                kind = " for the official set" if self.official else ""
                raise BadInput(f"--{option} is {value}; give 1 to {highest}{kind}.")
        if self.seed < 0:
            raise BadInput(f"--seed is {self.seed}; give 0 or more.")
        if self.official and (self.seed or set(self.families) != set(MIXED)):
            raise BadInput("--official renders the frozen scenes; leave out --seed and --families.")

    def listed(self) -> Iterator[Clip]:
        """Yield the run's clips."""
        seed = OFFICIAL_SEED if self.official else self.seed
        for index, (family, number) in enumerate(numbered(self.families, self.clips)):
            name = f"unibench-{index:03d}" if self.official else f"{family}-{seed}-{number:06d}"
            about: dict[str, float | str] = {
                "family": family,
                "seed": seed,
                "number": index if self.official else number,
            }
            yield Clip(
                clip_id=make_clip_id(SOURCE, name), source=SOURCE, source_key=name, source_video=name, path="",
                group=family, published=about,
            )  # fmt: skip


class SceneView(FolderView):
    """What the render stage is called with: a clip's scene, made at first use."""

    def __init__(self, clip: Clip, out: Path, num_frames: int, official: bool) -> None:
        super().__init__(clip, out)
        self._num_frames, self._official = num_frames, official

    def scene(self) -> Scene:
        """Return the scene."""
        about = self.clip.published
        number = int(about["number"])
        if self._official:
            return official_scene(number, self._num_frames)
        return make_scene(
            str(about["family"]),
            seed=int(about["seed"]),
            number=number,
            num_frames=self._num_frames,
            name=self.clip.source_key,
        )


@dataclass(frozen=True)
class OpenScene:
    """Opens clips for a render run. Pickles."""

    out: str
    num_frames: int
    official: bool

    def __call__(self, clip: Clip) -> SceneView:
        """Open a clip; nothing is made yet."""
        return SceneView(clip, Path(self.out), self.num_frames, self.official)


@dataclass(kw_only=True)
class RenderStage(Stage):
    """Renders a scene and writes its folder."""

    tier: str
    settings: Mapping[str, str]
    height: int
    width: int
    behind_glass: str
    png: bool

    name = "render"
    columns = (
        Column("caption", "text", "What the scene shows."),
        Column("num_frames", "frames", "Length."),
        Column("fps", "1/s", "Frame rate."),
        Column("people", "people", "People in the scene."),
        Column("truth_sha256", "text", "Hash of all truth arrays."),
        Column("facts", "text", "The scene's facts, JSON."),
        Column("seconds", "CPU s", "CPU time of the clip."),
    )

    def setup(self) -> None:
        """Load the tier."""
        self._tier: Tier = make_tier(self.tier, self.settings)
        self._tier.setup()

    def __call__(self, view: SceneView) -> Result:
        """Render and write one clip."""
        import time

        started = time.process_time()
        clip = render_clip(
            view.scene(), height=self.height, width=self.width, tier=self._tier, behind_glass=self.behind_glass
        )
        about = write_clip(view.out, clip, png=self.png)
        facts = json.dumps(about["facts"], sort_keys=True)
        kept = {key: about[key] for key in ("caption", "num_frames", "fps", "people", "truth_sha256")}
        return Result({**kept, "facts": facts, "seconds": time.process_time() - started})


@dataclass
class Rendered:
    """What a run did, for the closing lines."""

    out: Path
    clips: int
    """In the index: all that the folder holds."""
    failed: Counter[str]
    """Reason -> clips that could not be rendered."""


def job_of(config: RenderConfig) -> Job:
    """Return the engine's job of a run."""
    stage = RenderStage(
        tier=config.tier, settings=dict(config.settings), height=config.height, width=config.width,
        behind_glass=config.behind_glass, png=config.png,
    )  # fmt: skip
    out = config.out.absolute()
    mark = f"{config.num_frames} {config.official} {config.seed}"
    opening = OpenScene(str(out), config.num_frames, config.official)
    return Job(name="render", out=out, stages=(stage,), open_view=opening, view_fingerprint=mark)


def render_run(
    config: RenderConfig,
    engine: Engine,
    *,
    breaker: Breaker | None = None,
    retry: Sequence[str] = (),
    quiet: bool = False,
) -> Rendered:
    """Render clips that are not there yet, then write the index and the contact sheet.

    Args:
        config: what to render.
        engine: what runs it.
        breaker: when to stop because too much fails.
        retry: run clips of these statuses again: "error", "crash".
        quiet: draw no progress.

    Raises:
        BadInput: the configuration, or an output folder that is not ours or was rendered otherwise.
        RunFailed: the run could not be finished, or no clip could be rendered.
    """
    config.check()
    check_statuses(retry)
    tier = make_tier(config.tier, config.settings)
    tier.setup()  # a missing extra is said here, once, and not by every clip
    job = job_of(config)
    with RunFolder(config.out, "unibench render") as folder:
        # Only the number of clips may change.
        given = {name: value for name, value in asdict(config).items() if name not in ("out", "clips")}
        refuse_other(folder, given, "rendered")
        folder.record({**asdict(config), "families": list(config.families)})
        folder.event("tier", tier=tier.name, **tier.about())
        job.plan.append(config.listed())
        reopen(job, retry)
        run(job, engine, event=folder.event, breaker=breaker or Breaker(), quiet=quiet)
        sweep(job.out)
        table, failed = _index(job, config)
        folder.event("rendered", clips=table.num_rows, failed=dict(failed))
    if not table.num_rows:
        reasons = "; ".join(f"{count} x {reason}" for reason, count in failed.most_common(3))
        raise RunFailed(f"No clip could be rendered. Reasons: {reasons}.")
    return Rendered(job.out, table.num_rows, failed)


def _index(job: Job, config: RenderConfig) -> tuple[Any, Counter[str]]:
    """Write unibench.parquet and the contact sheet from the ledgers; return the index and the failures."""
    import pyarrow as pa
    import pyarrow.compute as pc

    stage = job.stages[0]
    ledger, _ = read_ledger(job.out, stage, job.fingerprints[stage.name], job.plan.names())
    rendered = pc.equal(ledger["status"], "ok")
    failed = Counter(ledger.filter(pc.invert(rendered))["reason"].to_pylist())
    ledger = ledger.filter(rendered).sort_by("source_key")
    for name in ledger["source_key"].to_pylist():
        if not (job.out / CLIPS / name / "clip.json").is_file():
            raise RunFailed(f"{job.out / CLIPS / name} was rendered and is gone. Render into another --out.")
    columns = {"clip": ledger["source_key"], "family": ledger["group"]}
    for name in ("caption", "num_frames", "fps", "people", "truth_sha256", "facts", "seconds"):
        columns[name] = ledger[f"render.{name}"]
    same = {
        "seed": OFFICIAL_SEED if config.official else config.seed,
        "height": config.height,
        "width": config.width,
        "tier": config.tier,
        "behind_glass": config.behind_glass,
        "official": config.official,
        "versions": json.dumps({name: versions()[name] for name in DECIDING}, sort_keys=True),
    }
    schema = index_schema()
    columns |= {name: pa.array([value] * ledger.num_rows, schema.field(name).type) for name, value in same.items()}
    table = pa.table([pc.cast(columns[field.name], field.type) for field in schema], schema=schema)
    write_index(job.out, table)
    return table, failed
