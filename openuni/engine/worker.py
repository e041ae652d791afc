"""Worker: runs a job's stages over one unit and commits each (stage, unit). The same code under every engine.

Order of things in a unit: suspects first (clips a worker died on), each alone in a process of its own; then the
other clips; then, stage by stage, the shard and last the ledger. Finished clips are kept in scratch until then.
"""

import contextlib
import faulthandler
import hashlib
import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from openuni.clip import Clip
from openuni.engine.alone import run_alone
from openuni.engine.atomic import is_full, replacing, write_bytes
from openuni.engine.job import Job, View
from openuni.engine.ledger import STATUSES, Commit, Row, error_path, ledger_path, read_rows, shard_path, write_ledger
from openuni.engine.scratch import Outcome, Scratch
from openuni.engine.stage import Absent, Drop, Stage
from openuni.engine.unit import Unit
from openuni.errors import RunFailed
from openuni.modality import Map, codec
from openuni.sample import json_member
from openuni.shard import Span, TarWriter, read_sample

logger = logging.getLogger(__name__)

MAX_REASON = 300  # characters of an error's message in a ledger.
MAX_DEATHS = 3  # a clip whose process died this often even when alone, or a unit that lost this many workers.
MAX_ATTEMPTS = 5  # workers that may die on a unit without finishing a clip, before the run is stopped.
KEPT = frozenset({"ok", "absent", "drop", "crash"})  # errors in scratch are tried again when a run is resumed.


class Report(NamedTuple):
    """What a worker tells while it works: one for each clip, `fresh` False for clips found in scratch."""

    unit: str
    clip_id: str
    status: str
    reason: str
    seconds: float
    fresh: bool


class Worker:
    """Holds the stages of a job, set up once, and runs units."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._ready: set[str] = set()

    def run_unit(self, unit: Unit, report: Callable[[Report], None]) -> None:
        """Run and commit what is not committed of a unit. A failure of the run itself raises RunFailed."""
        todo = self.job.todo(unit.name)
        if not todo:
            return
        scratch = Scratch(self.job.scratch(unit.name))
        self._refuse_deadly_unit(unit, scratch)
        deaths = scratch.journal.deaths()
        suspects = [clip for clip in unit.clips if deaths[clip.clip_id]]
        careful = deaths.total() >= MAX_DEATHS
        for clip in suspects + [clip for clip in unit.clips if not deaths[clip.clip_id]]:
            alone = careful or bool(deaths[clip.clip_id])
            report(self._finish_clip(unit, clip, todo, scratch, deaths[clip.clip_id], alone=alone))
        for stage in todo:
            self._commit(unit, stage, scratch)
        scratch.remove()

    def work_on(self, unit: str, clip: Clip, todo: tuple[Stage, ...], found: dict[str, Outcome]) -> dict[str, Outcome]:
        """Run stages on one clip.

        Args:
            unit: name of the clip's unit.
            clip: the clip.
            todo: the stages to run.
            found: outcomes to keep, from scratch.

        Returns:
            An outcome for each stage of `todo`.
        """
        outcomes = dict(found)
        view: View | None = None
        dropped = next((o.row.reason for o in found.values() if o.row.status == "drop"), None)
        try:
            for stage in todo:
                if stage.name in found:
                    continue
                started = time.perf_counter()
                outcome = Outcome(self.job.fingerprints[stage.name], Row("ok"))
                try:
                    if dropped is not None:
                        raise Drop(dropped)
                    if view is None:
                        view = self.job.open_view(clip)
                    self._run_stage(unit, stage, view, outcome, outcomes)
                except Drop as drop:
                    dropped = str(drop)
                    _fail(stage, outcome, "drop", dropped)
                except Absent as absent:
                    _fail(stage, outcome, "absent", str(absent))
                except Exception as error:
                    if is_full(error) or isinstance(error, RunFailed):
                        raise
                    reason = f"{type(error).__name__}: {error}".splitlines()[0][:MAX_REASON]
                    _fail(stage, outcome, "error", reason)
                    outcome.row.error = self._keep_traceback(stage, clip, error)
                outcome.row.seconds = time.perf_counter() - started
                outcomes[stage.name] = outcome
        finally:
            if view is not None:
                view.close()
        return outcomes

    def _finish_clip(
        self, unit: Unit, clip: Clip, todo: tuple[Stage, ...], scratch: Scratch, deaths: int, *, alone: bool
    ) -> Report:
        """Make sure that scratch holds an outcome of each stage for a clip; say how it went."""
        started = time.perf_counter()
        found = self._kept(scratch.load(clip.clip_id), todo)
        fresh = len(found) < len(todo)
        if fresh:
            outcomes: dict[str, Outcome] | None = None
            if deaths >= MAX_DEATHS:
                outcomes = self._crashed(todo, f"worker_died_{deaths}_times")
            if not alone and outcomes is None:
                self._setup(todo)  # outside the journal: a death in here is no clip's fault
            with _journalled(scratch, clip):
                if outcomes is None and alone:
                    outcomes = self._alone(unit.name, clip, todo, scratch)
                elif outcomes is None:
                    with _watchdog(self.job.clip_timeout_s):
                        outcomes = self.work_on(unit.name, clip, todo, found)
                scratch.save(clip.clip_id, outcomes)
            found = outcomes
        worst = max(found.values(), key=lambda outcome: STATUSES.index(outcome.row.status)).row
        return Report(unit.name, clip.clip_id, worst.status, worst.reason, time.perf_counter() - started, fresh)

    def _refuse_deadly_unit(self, unit: Unit, scratch: Scratch) -> None:
        """Stop the run when workers die on a unit again and again without finishing a clip.

        Deadly clips do not come to this, since they run alone from the second time on: setting up or committing
        kills the worker. Counted here and not by the engines, whose retries are without end (Ray Data 2.60).
        """
        if scratch.journal.attempt() > MAX_ATTEMPTS:
            scratch.journal.end("-")  # the next run may try again
            raise RunFailed(
                f"Unit {unit.name} of pass {self.job.name} killed its worker {MAX_ATTEMPTS} times in a row while "
                "setting up or committing. If the system ran out of memory, use fewer --workers; then run the same "
                "command again."
            )

    def _alone(self, unit: str, clip: Clip, todo: tuple[Stage, ...], scratch: Scratch) -> dict[str, Outcome]:
        """Run one clip in a process of its own; its death makes every stage's outcome a crash."""
        died = run_alone(self.job, unit, clip, timeout_s=self.job.clip_timeout_s)
        outcomes = {} if died else scratch.load(clip.clip_id)
        if {stage.name for stage in todo} - outcomes.keys():
            return self._crashed(todo, died or "exited_without_a_result")
        return outcomes

    def run_one(self, unit: str, clip: Clip) -> None:
        """Finish one clip into scratch: what a process that runs a suspect alone does."""
        todo = self.job.todo(unit)
        scratch = Scratch(self.job.scratch(unit))
        found = self._kept(scratch.load(clip.clip_id), todo)
        self._setup(todo)
        scratch.save(clip.clip_id, self.work_on(unit, clip, todo, found))

    def _kept(self, outcomes: dict[str, Outcome], todo: tuple[Stage, ...]) -> dict[str, Outcome]:
        """Pick the outcomes that are of the job's fingerprints and need not be tried again."""
        prints = self.job.fingerprints
        names = {stage.name for stage in todo}
        return {
            name: outcome
            for name, outcome in outcomes.items()
            if name in names and outcome.fingerprint == prints[name] and outcome.row.status in KEPT
        }

    def _crashed(self, todo: tuple[Stage, ...], reason: str) -> dict[str, Outcome]:
        outcomes = {}
        for stage in todo:
            outcomes[stage.name] = Outcome(self.job.fingerprints[stage.name], Row("ok"))
            _fail(stage, outcomes[stage.name], "crash", reason)
        return outcomes

    def _setup(self, todo: tuple[Stage, ...]) -> None:
        for stage in todo:
            if stage.name not in self._ready:
                stage.setup()
                self._ready.add(stage.name)

    def _run_stage(self, unit: str, stage: Stage, view: View, outcome: Outcome, outcomes: dict[str, Outcome]) -> None:
        """Call a stage on a view and fill its outcome."""
        for name in stage.reads:
            if name not in view.maps:
                view.maps[name] = self._read_map(unit, name, view.clip, outcomes)
        result = stage(view)
        declared = {column.name for column in stage.columns}
        if undeclared := set(result.scores) - declared:
            raise ValueError(f"stage {stage.name} gave scores that are not in its columns: {sorted(undeclared)}")
        outcome.row.scores = {name: _plain(value) for name, value in result.scores.items()}
        if stage.modality is None:
            return
        assert result.map is not None, f"stage {stage.name} makes {stage.modality} but gave no map"
        encoded = codec(stage.modality).encode(result.map)
        outcome.facts = encoded.facts
        outcome.members = {**encoded.members, **self._words(stage, view, encoded.facts, outcome.row)}
        if any(stage.name in later.reads for later in self.job.stages):
            view.maps[stage.name] = codec(stage.modality).stored(result.map)

    def _read_map(self, unit: str, name: str, clip: Clip, outcomes: dict[str, Outcome]) -> Map:
        """Get the map of an earlier stage that is not in memory: from scratch or from its committed shard."""
        stage = next(stage for stage in self.job.stages if stage.name == name)
        assert stage.modality is not None, f"stage {name} makes no map to read"
        if name in outcomes:
            row, members = outcomes[name].row, outcomes[name].members
        else:
            fingerprint = self.job.fingerprints[name]
            row = read_rows(ledger_path(self.job.out, name, fingerprint, unit), stage)[clip.clip_id]
            members = {}
            if row.status == "ok" and row.offset is not None and row.size is not None:
                shard = shard_path(self.job.out, stage.modality, fingerprint, unit)
                members = read_sample(shard, Span(row.offset, row.size))
        if row.status == "drop":
            raise Drop(row.reason)
        if row.status != "ok":
            raise Absent(f"{name}_{row.status}")
        facts = json.loads(members[json_member(stage.modality)])["facts"]
        return codec(stage.modality).decode(members, facts)

    def _words(self, stage: Stage, view: View, facts: dict[str, Any], row: Row) -> dict[str, bytes]:
        """Return the text members of a sample: its json, and beside the frames the caption."""
        assert stage.modality is not None, "only stages with a modality write samples"
        about: dict[str, Any] = {
            "modality": stage.modality,
            "expert": stage.expert,
            "version": stage.version,
            "fingerprint": self.job.fingerprints[stage.name],
            "weights_sha256": stage.weights_hash,
            "licence": stage.licence,
            "scores": row.scores,
            "facts": facts,
        }
        words = {}
        if stage.modality == "rgb":
            about["clip"] = view.describe()
            words["txt"] = view.clip.caption.encode()
        words[json_member(stage.modality)] = _json_bytes(about)
        return words

    def _keep_traceback(self, stage: Stage, clip: Clip, error: Exception) -> str:
        """Write an error's traceback into the ledger's folder, one file for each distinct error; return its name.

        Errors of one type raised at one place, through the same calls, are one error. How many clips met it, the
        ledger's column "error" tells.
        """
        text = "".join(traceback.format_exception(error))
        place = "".join(f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__))
        name = hashlib.sha256(f"{type(error).__name__}{place}".encode()).hexdigest()[:12]
        path = error_path(self.job.out, stage.name, self.job.fingerprints[stage.name], name)
        if not path.exists():
            write_bytes(path, f"first seen on clip {clip.clip_id}\n{text}".encode(errors="replace"), durable=False)
        logger.debug("stage %s failed on clip %s", stage.name, clip.clip_id, exc_info=error)
        return name

    def _commit(self, unit: Unit, stage: Stage, scratch: Scratch) -> None:
        """Write a stage's shard, then its ledger."""
        out, print_ = self.job.out, self.job.fingerprints[stage.name]
        rows: list[Row] = []
        shard, sha256, size = None, None, 0
        if stage.modality is None:
            rows = [_outcome(scratch, clip, stage).row for clip in unit.clips]
        else:
            path = shard_path(out, stage.modality, print_, unit.name)
            with replacing(path) as file:
                tar = TarWriter(file)
                for clip in unit.clips:
                    outcome = _outcome(scratch, clip, stage)
                    span = tar.add(clip.clip_id, outcome.members)
                    outcome.row.offset, outcome.row.size = span
                    rows.append(outcome.row)
                sha256 = tar.finish()
                size = file.tell()
            shard = path.relative_to(out).as_posix()
        commit = Commit(stage.name, print_, unit.name, shard, sha256, size)
        write_ledger(out, stage, commit, unit.clips, rows)


def _outcome(scratch: Scratch, clip: Clip, stage: Stage) -> Outcome:
    outcomes = scratch.load(clip.clip_id, stage.name)
    if stage.name not in outcomes:
        raise RunFailed(f"The finished clip {clip.clip_id} vanished from {scratch.folder}. Run the same command again.")
    return outcomes[stage.name]


def _fail(stage: Stage, outcome: Outcome, status: str, reason: str) -> None:
    """Turn an outcome into one that has nothing to give, with its reason in the row and in the sample's json."""
    outcome.row = Row(status, reason)
    outcome.facts = {}
    outcome.members = {}
    if stage.modality is not None:
        absent = {"modality": stage.modality, "absent": reason, "status": status, "fingerprint": outcome.fingerprint}
        outcome.members = {json_member(stage.modality): _json_bytes(absent)}


def _json_bytes(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    """Turn numpy scalars into Python's, and a number that is not finite into None."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


@contextlib.contextmanager
def _journalled(scratch: Scratch, clip: Clip) -> Iterator[None]:
    scratch.journal.start(clip.clip_id)
    try:
        yield
    finally:
        # Reached after any orderly end, also an exception's; a process that dies never gets here.
        with contextlib.suppress(OSError, RunFailed):
            scratch.journal.end(clip.clip_id)


@contextlib.contextmanager
def _watchdog(timeout_s: float) -> Iterator[None]:
    """End this process, with its stacks on stderr, when the block takes longer than `timeout_s` seconds.

    faulthandler's timer needs no GIL, so it also ends a process that hangs inside a decoder.
    """
    try:
        faulthandler.dump_traceback_later(timeout_s, exit=True, file=sys.__stderr__ or sys.stderr)
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
