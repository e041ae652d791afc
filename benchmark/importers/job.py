"""The import run: scenes of a dataset to a rendered folder, on any engine, resumable clip by clip."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openuni.benchmark.importers.base import Importer, Scene, finish
from openuni.benchmark.synth.files import CLIPS, write_clip
from openuni.benchmark.synth.folder_job import FolderView, index_schema, refuse_other, sweep, write_index
from openuni.clip import Clip, make_clip_id
from openuni.config import configured
from openuni.engine.job import Job
from openuni.engine.ledger import read_ledger
from openuni.engine.monitor import Breaker
from openuni.engine.retry import check_statuses, reopen
from openuni.engine.run import Engine, run
from openuni.engine.stage import Column, Result, Stage
from openuni.errors import BadInput, RunFailed
from openuni.run import RunFolder, versions
from openuni.table import IMPORTERS, load

RUN = "unibench import"
DECIDING = ("openuni", "numpy")
"""Packages whose versions are in the index: they can change a clip."""


@dataclass
class Imported:
    """What a run did, for the closing lines."""

    out: Path
    clips: int
    """In the index: all that the folder holds."""
    failed: Counter[str]
    """Reason -> clips that could not be imported."""


class SceneView(FolderView):
    """What the import stage is called with: which frames of which scene."""

    def scene(self) -> Scene:
        """Return the part of the scene that is the clip."""
        return _scene(self.clip)


@dataclass(frozen=True)
class OpenScene:
    """Opens clips for an import run. Pickles."""

    out: str

    def __call__(self, clip: Clip) -> SceneView:
        """Open a clip; nothing is read yet."""
        return SceneView(clip, Path(self.out))


@dataclass(kw_only=True)
class ImportStage(Stage):
    """Reads a clip and writes its folder."""

    importer: Importer

    name = "import"
    columns = (
        Column("fps", "1/s", "Frame rate."),
        Column("num_frames", "frames", "Length."),
        Column("height", "px", "Height."),
        Column("width", "px", "Width."),
        Column("truth_sha256", "text", "Hash of all truth arrays."),
        Column("facts", "text", "Where the truth is from, JSON."),
        Column("seconds", "CPU s", "CPU time of the clip."),
    )

    def __call__(self, view: SceneView) -> Result:
        """Import one clip."""
        import time

        started = time.process_time()
        scene = view.scene()
        raw = self.importer.read(scene, scene.numbers)
        raw.facts |= {"scene": scene.folder, "frames": [scene.numbers[0], scene.numbers[-1]]}
        about = write_clip(view.out, finish(view.clip.source_key, raw, self.importer))
        kept = {key: about[key] for key in ("fps", "num_frames", "height", "width", "truth_sha256")}
        facts = json.dumps(about["facts"], sort_keys=True)
        return Result({**kept, "facts": facts, "seconds": time.process_time() - started})


def make_importer(kind: str, root: Path, values: Mapping[str, str] | None = None, **fixed: Any) -> Importer:
    """Return an importer, checked.

    Args:
        kind: a key of IMPORTERS.
        root: the data.
        values: options as text, from `--set`.
        fixed: options given by the program.

    Raises:
        UnknownName: there is no such importer, or it has no such option.
        BadInput: an option's value does not fit.
    """
    importer: Importer = configured(load("importer", IMPORTERS, kind), values or {}, part=kind, root=root, **fixed)
    importer.check()
    return importer


def import_run(
    importer: Importer,
    out: Path,
    engine: Engine,
    *,
    retry: Sequence[str] = (),
    limit: int | None = None,
    quiet: bool = False,
) -> Imported:
    """Import clips that are not there yet, then write the index and the contact sheet.

    Args:
        importer: what reads.
        out: the rendered folder.
        engine: what runs it.
        retry: run clips of these statuses again: "error", "crash".
        limit: import only the first clips.
        quiet: draw no progress.

    Raises:
        BadInput: nothing to import, the first clip cannot be read (then nothing is written), every clip is bad, or
            `out` is not ours.
        RunFailed: the run could not be finished.
    """
    check_statuses(retry)
    if limit is not None and limit < 1:
        raise BadInput(f"--limit is {limit}; give at least 1.")
    clips = list(_listed(importer))[:limit]
    if not clips:
        raise BadInput(f"{importer.root} has no frame in the range {importer.frames!r}.")
    if out.resolve() == importer.root.resolve() or importer.root.resolve() in out.resolve().parents:
        raise BadInput(f"--out {out} lies in --root {importer.root}: what is written would be read. Choose another.")
    _try_first(importer, clips[0])
    with RunFolder(out, RUN) as folder:
        told = {"kind": importer.kind, "root": importer.root, **importer.options()}
        refuse_other(folder, told, "imported")
        # "official" is what readers of rendered folders ask run.json for.
        folder.record({"official": False, **told})
        opening = OpenScene(str(out.absolute()))
        job = Job(name="import", out=out.absolute(), stages=(ImportStage(importer=importer),), open_view=opening)
        job.plan.append(clips)
        reopen(job, retry)
        run(job, engine, event=folder.event, breaker=Breaker(), quiet=quiet)
        sweep(job.out)
        count, failed = _index(job, importer)
        folder.event("imported", clips=count, failed=dict(failed))
    if not count:
        reasons = "; ".join(reason.removeprefix("BadInput: ") for reason, _ in failed.most_common(3))
        raise (BadInput if all(reason.startswith("BadInput: ") for reason in failed) else RunFailed)(reasons)
    return Imported(job.out, count, failed)


def _listed(importer: Importer) -> Iterator[Clip]:
    for name, scene, numbers in importer.clips():
        about: dict[str, float | str] = {"folder": scene.folder, "first": numbers[0], "count": len(numbers)}
        yield Clip(
            clip_id=make_clip_id(RUN, f"{importer.kind}/{name}"), source=importer.kind, source_key=name,
            source_video=scene.name, path="", group=importer.kind, published=about,
        )  # fmt: skip


def _try_first(importer: Importer, clip: Clip) -> None:
    """Read two frames before anything is written: a wrong option or a missing library shows in the first clip."""
    scene = _scene(clip)
    finish(clip.source_key, importer.read(scene, scene.numbers[:2]), importer)


def _scene(clip: Clip) -> Scene:
    about = clip.published
    first, count = int(about["first"]), int(about["count"])
    return Scene(clip.source_video, str(about["folder"]), tuple(range(first, first + count)))


def _index(job: Job, importer: Importer) -> tuple[int, Counter[str]]:
    """Write unibench.parquet and the contact sheet from the ledgers; return the number of clips and the failures."""
    import pyarrow as pa

    stage = job.stages[0]
    ledger, _ = read_ledger(job.out, stage, job.fingerprints[stage.name], job.plan.names())
    same = {
        "family": importer.kind, "seed": None, "caption": "", "people": None, "tier": importer.kind,
        "behind_glass": "unknown", "official": False,
        "versions": json.dumps({name: versions()[name] for name in DECIDING}, sort_keys=True),
    }  # fmt: skip
    rows, failed = [], Counter[str]()
    for row in ledger.to_pylist():
        if row["status"] != "ok":
            failed[row["reason"]] += 1
            continue
        if not (job.out / CLIPS / row["source_key"] / "clip.json").is_file():
            raise RunFailed(f"{job.out / CLIPS / row['source_key']} was imported and is gone. Choose another --out.")
        of_clip = {name: row[f"import.{name}"] for name in ("fps", "truth_sha256", "facts", "seconds")}
        whole = {name: int(row[f"import.{name}"]) for name in ("num_frames", "height", "width")}
        rows.append({"clip": row["source_key"], **same, **of_clip, **whole})
    rows.sort(key=lambda one: str(one["clip"]))
    write_index(job.out, pa.Table.from_pylist(rows, schema=index_schema()))
    return len(rows), failed
