"""The engine's promises: one row per clip, commits that survive kills, equal bytes from every engine."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from openuni.engine.ledger import error_path, read_ledger, shard_path
from openuni.engine.local import LocalEngine
from openuni.engine.monitor import Breaker, Monitor, silent
from openuni.engine.retry import reopen
from openuni.engine.run import run
from openuni.engine.scratch import Scratch
from openuni.errors import RunFailed
from openuni.sample import decode_members
from openuni.shard import Span, read_sample
from tests.openuni.engine.cases import LOG, DeadlySetup, Faulty, Ids, Parity, Twice, make_clips, make_job, shard_hashes

HERE = LocalEngine(0)
POOL = LocalEngine(2)


def go(job, engine=HERE, breaker=None):
    return run(job, engine, event=silent, breaker=breaker or Breaker(), quiet=True)


def rows(job, stage):
    table, _ = read_ledger(job.out, stage, job.fingerprints[stage.name], job.plan.names())
    return {row["clip_id"]: row for row in table.to_pylist()}


def by_number(job, stage):
    found = rows(job, stage)
    clips = [clip for name in job.plan.names() for clip in job.plan.read(name).clips]
    return {int(clip.source_key): found[clip.clip_id] for clip in clips}


@pytest.fixture
def log(tmp_path, monkeypatch):
    path = tmp_path / "calls.log"
    monkeypatch.setenv(LOG, str(path))
    return lambda: Counter(path.read_text().splitlines()) if path.exists() else Counter()


def test_every_clip_has_exactly_one_row_in_the_ledger_of_every_stage(tmp_path):
    job = make_job(tmp_path, [Parity(), Ids(absent_on=1, error_on=2), Twice()])
    go(job)
    for stage in job.stages:
        assert len(rows(job, stage)) == 6
        assert pq.read_table(job.out / f"ledger/{stage.name}").num_rows == 6
    ids, twice = by_number(job, job.stages[1]), by_number(job, job.stages[2])
    assert [ids[number]["status"] for number in range(6)] == ["ok", "absent", "error", "ok", "ok", "ok"]
    assert ids[1]["reason"] == "no_number"
    assert ids[2]["reason"] == "ZeroDivisionError: planted"
    assert (twice[1]["status"], twice[1]["reason"]) == ("absent", "segmentation_absent")
    assert (twice[2]["status"], twice[2]["reason"]) == ("absent", "segmentation_error")


def test_a_clip_that_cannot_be_opened_is_dropped_by_every_stage(tmp_path):
    job = make_job(tmp_path, [Parity(), Ids()], clips=1)
    job.plan.append(make_clips(1, first=-1))
    go(job)
    for stage in job.stages:
        row = by_number(job, stage)[-1]
        assert (row["status"], row["reason"]) == ("drop", "negative")


def test_scores_get_the_types_of_their_columns(tmp_path):
    job = make_job(tmp_path, [Parity()], clips=3)
    go(job)
    row = by_number(job, job.stages[0])[3 - 1]
    assert row["parity.odd"] is False and row["parity.half"] == 1.0


def test_an_undeclared_score_is_an_error_of_the_stage(tmp_path):
    class Sloppy(Parity):
        columns = ()

    job = make_job(tmp_path, [Sloppy()], clips=1)
    go(job)
    assert "not in its columns: ['half', 'odd']" in by_number(job, job.stages[0])[0]["reason"]


def test_every_tar_has_every_key_in_the_same_order_and_an_absent_map_is_a_json_with_its_reason(tmp_path):
    job = make_job(tmp_path, [Ids(absent_on=1), Twice()], unit_size=6)
    go(job)
    order = []
    for stage in job.stages:
        with tarfile.open(shard_path(tmp_path, stage.modality, job.fingerprints[stage.name], "000000")) as tar:
            names = tar.getnames()
        order.append(list(dict.fromkeys(name.partition(".")[0] for name in names)))
    assert order[0] == order[1] == [clip.clip_id for clip in job.plan.read("000000").clips]
    row = by_number(job, job.stages[0])[1]
    members = read_sample(
        shard_path(tmp_path, "segmentation", job.fingerprints["segmentation"], "000000"),
        Span(row["offset"], row["size"]),
    )
    assert list(members) == ["segmentation.json"]
    assert json.loads(members["segmentation.json"])["absent"] == "no_number"


def test_webdataset_reads_the_tars_without_our_code(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    job = make_job(tmp_path, [Ids(absent_on=1), Twice()], unit_size=6)
    go(job)
    keys = []
    for stage in job.stages:
        path = shard_path(tmp_path, stage.modality, job.fingerprints[stage.name], "000000")
        samples = list(webdataset.WebDataset(str(path), shardshuffle=False).decode())
        keys.append([sample["__key__"] for sample in samples])
        assert all(sample[f"{stage.modality}.json"]["modality"] == stage.modality for sample in samples)
    assert keys[0] == keys[1] == [clip.clip_id for clip in job.plan.read("000000").clips]


def test_offsets_in_the_ledger_give_the_map_back(tmp_path):
    job = make_job(tmp_path, [Ids(offset=7)])
    go(job)
    for number, row in by_number(job, job.stages[0]).items():
        unit = next(
            name for name in job.plan.names() if row["clip_id"] in {c.clip_id for c in job.plan.read(name).clips}
        )
        path = shard_path(tmp_path, "segmentation", job.fingerprints["segmentation"], unit)
        found, _ = decode_members("segmentation", read_sample(path, Span(row["offset"], row["size"])))
        assert (found.data == number + 7).all()


def test_the_pool_and_this_process_write_the_same_shards(tmp_path):
    for name, engine in (("here", HERE), ("pool", POOL)):
        go(make_job(tmp_path / name, [Ids(absent_on=1), Twice()]), engine)
    assert shard_hashes(tmp_path / "here") == shard_hashes(tmp_path / "pool")
    assert len(shard_hashes(tmp_path / "here")) == 6


def test_a_second_run_does_nothing(tmp_path, log):
    job = make_job(tmp_path / "out", [Ids(), Twice()])
    assert go(job) == (3, 0)
    calls = log()
    assert go(job) == (0, 3)
    assert log() == calls


def test_new_clips_make_new_units_and_touch_no_old_one(tmp_path):
    job = make_job(tmp_path, [Ids()], clips=3, unit_size=2)
    go(job)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("shards/**/*.tar")}
    assert job.plan.append(make_clips(5), unit_size=2) == ["000002"]
    go(job)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(shard_hashes(tmp_path)) == 3


def test_a_changed_parameter_reruns_its_stage_and_what_reads_it_only(tmp_path, log):
    go(make_job(tmp_path / "out", [Parity(), Ids(), Twice()], clips=2))
    first = log()
    go(make_job(tmp_path / "out", [Parity(), Ids(), Twice(factor=3.0)], clips=2))
    assert log() - first == Counter({"depth 0": 1, "depth 1": 1})
    second = log()
    go(make_job(tmp_path / "out", [Parity(), Ids(offset=1), Twice(factor=3.0)], clips=2))
    assert log() - second == Counter({f"{stage} {n}": 1 for stage in ("segmentation", "depth") for n in (0, 1)})


def test_a_stage_rerun_alone_reads_the_same_map_as_in_one_pass(tmp_path):
    go(make_job(tmp_path / "two_runs", [Ids(), Twice()]))
    job = make_job(tmp_path / "two_runs", [Ids(), Twice(factor=3.0)])
    go(job)
    go(make_job(tmp_path / "one_run", [Ids(), Twice(factor=3.0)]))
    once = shard_hashes(tmp_path / "one_run")
    assert once.items() <= shard_hashes(tmp_path / "two_runs").items()


DRIVER = """
import sys
from pathlib import Path
from openuni.engine.local import LocalEngine
from tests.openuni.engine.test_engine import go
from tests.openuni.engine.cases import Ids, Twice, make_job
if __name__ == "__main__":
    out, unit_size, workers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    go(make_job(out, [Ids(seconds=0.15), Twice()], clips=8, unit_size=unit_size), LocalEngine(workers))
"""


def start_driver(folder: Path, out: Path, *, unit_size: int, workers: int) -> subprocess.Popen:
    script = folder / "driver.py"
    script.write_text(DRIVER)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.Popen([sys.executable, script, out, str(unit_size), str(workers)], env=environment)


def wait_for(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.02)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_kill_after_the_first_commit_redoes_no_committed_unit_and_ends_in_the_same_bytes(tmp_path, workers):
    out = tmp_path / "killed"
    driver = start_driver(tmp_path, out, unit_size=1, workers=workers)
    wait_for(lambda: len(list(out.glob("ledger/depth/*/*.parquet"))) >= 1)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    time.sleep(1.0)  # the pool's orphans end with the clip they are on
    before = {path: path.stat().st_mtime_ns for path in out.glob("ledger/**/*.parquet")}
    assert 1 <= len(before) < 16
    tars = {path: path.stat().st_mtime_ns for p in before for path in out.glob(f"shards/{p.parts[-3]}/*/{p.stem}.tar")}
    job = make_job(out, [Ids(seconds=0.15), Twice()], clips=8, unit_size=1)
    go(job)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert {path: path.stat().st_mtime_ns for path in tars} == tars
    go(make_job(tmp_path / "whole", [Ids(seconds=0.15), Twice()], clips=8, unit_size=1))
    assert shard_hashes(out) == shard_hashes(tmp_path / "whole")
    assert {row["status"] for row in rows(job, job.stages[0]).values()} == {"ok"}
    assert not (out / "scratch").exists()


def test_a_kill_inside_a_unit_loses_only_the_clip_in_flight(tmp_path, log):
    out = tmp_path / "killed"
    driver = start_driver(tmp_path, out, unit_size=8, workers=0)
    wait_for(lambda: len(list(out.glob("scratch/annotate/000000/*.part"))) >= 3)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert not list(out.glob("shards/**/*.tar"))
    job = make_job(out, [Ids(seconds=0.15), Twice()], clips=8, unit_size=8)
    go(job)
    calls = log()
    assert {call for call in calls if call.startswith("segmentation")} == {f"segmentation {n}" for n in range(8)}
    assert sum(count - 1 for count in calls.values()) <= 2  # both stages of the one clip that was in flight
    assert {row["status"] for row in rows(job, job.stages[0]).values()} == {"ok"}


@pytest.mark.parametrize(("death", "reason"), [("exit", "exit_code_9"), ("segv", "killed_by_SIGSEGV")])
def test_a_clip_that_kills_the_process_ends_as_crash_and_the_run_finishes(tmp_path, death, reason):
    job = make_job(tmp_path, [Parity(), Ids(deadly_on=(3,), death=death), Twice()], unit_size=6)
    go(job, POOL)
    found = by_number(job, job.stages[1])
    assert (found[3]["status"], found[3]["reason"]) == ("crash", reason)
    assert {found[n]["status"] for n in (0, 1, 2, 4, 5)} == {"ok"}
    assert by_number(job, job.stages[2])[3]["status"] == "crash"


def test_a_unit_with_many_deadly_clips_still_finishes(tmp_path):
    job = make_job(tmp_path, [Ids(deadly_on=(0, 1, 2, 3))], clips=5, unit_size=5)
    go(job, POOL)
    statuses = {number: row["status"] for number, row in by_number(job, job.stages[0]).items()}
    assert statuses == {0: "crash", 1: "crash", 2: "crash", 3: "crash", 4: "ok"}


def test_a_stage_whose_setup_kills_the_worker_stops_the_run(tmp_path):
    job = make_job(tmp_path, [DeadlySetup()], clips=2)
    with pytest.raises(RunFailed, match=r"Unit 000000 of pass annotate killed its worker 5 times in a row"):
        go(job, LocalEngine(1))


def test_a_clip_that_hangs_is_ended_by_the_watchdog(tmp_path):
    job = make_job(tmp_path, [Ids(deadly_on=(1,), death="hang")], clips=2, clip_timeout_s=2.0)
    go(job, POOL)
    row = by_number(job, job.stages[0])[1]
    assert row["status"] == "crash" and row["reason"] in ("timeout", "exit_code_1")


def test_the_breaker_stops_a_run_that_fails_for_a_systematic_reason(tmp_path):
    job = make_job(tmp_path, [Ids(error_on=1)], clips=4, unit_size=4)
    with pytest.raises(RunFailed, match=r"2 of 2 clips|1 of 2 clips failed in pass annotate, more than 20%"):
        go(job, breaker=Breaker(max_error_fraction=0.2, after_clips=2))
    assert not list(tmp_path.glob("ledger/*/*/*.parquet"))


def test_workers_told_to_stop_leave_no_suspects(tmp_path):
    job = make_job(tmp_path, [Ids(error_on=0, seconds=0.3)], clips=12, unit_size=6)
    with pytest.raises(RunFailed):
        go(job, POOL, Breaker(max_error_fraction=0.0, after_clips=1))
    for unit in job.plan.names():
        assert not Scratch(job.scratch(unit)).journal.deaths()


def test_errors_are_tried_again_when_a_stopped_run_is_resumed(tmp_path, monkeypatch):
    job = make_job(tmp_path, [Ids(error_on=1)], clips=4, unit_size=4)
    with pytest.raises(RunFailed):
        go(job, breaker=Breaker(max_error_fraction=0.2, after_clips=2))
    monkeypatch.setenv("OPENUNI_TEST_MENDED", "1")
    go(job)
    assert {row["status"] for row in rows(job, job.stages[0]).values()} == {"ok"}


def test_retry_runs_the_failed_clip_and_what_reads_it_only(tmp_path, monkeypatch, log):
    job = make_job(tmp_path / "out", [Parity(), Ids(error_on=1), Twice()], clips=4, unit_size=4)
    go(job)
    before = log()
    monkeypatch.setenv("OPENUNI_TEST_MENDED", "1")
    assert reopen(job, ["error"]) == 2
    go(job)
    assert log() - before == Counter({"segmentation 1": 1, "depth 1": 1})
    go(make_job(tmp_path / "whole", [Parity(), Ids(error_on=1), Twice()], clips=4, unit_size=4))
    assert shard_hashes(tmp_path / "out") == shard_hashes(tmp_path / "whole")


def test_an_error_leaves_its_traceback_in_the_ledgers_folder(tmp_path):
    job = make_job(tmp_path, [Ids(error_on=1)])
    go(job)
    (text,) = [path.read_text() for path in tmp_path.glob("ledger/segmentation/*/_errors/*.txt")]
    assert "ZeroDivisionError: planted" in text and "cases.py" in text


def test_each_distinct_error_has_one_file_and_the_ledger_counts_its_clips(tmp_path):
    job = make_job(tmp_path, [Faulty()], clips=8, unit_size=3)
    go(job, breaker=Breaker(max_error_fraction=1.0))
    found = by_number(job, job.stages[0])
    assert {number: row["status"] for number, row in found.items()} == {
        number: "ok" if number in (2, 6) else "error" for number in range(8)
    }
    counts = Counter(row["error"] for row in found.values())
    assert sorted(counts.values()) == [2, 2, 4] and counts[""] == 2
    for name, number in ((found[1]["error"], 1), (found[0]["error"], 0)):
        text = error_path(tmp_path, "parity", job.fingerprints["parity"], name).read_text()
        assert f"ValueError: {'odd' if number else 'fourth'}: " in text and "first seen on clip " in text
    assert len(list(tmp_path.glob("ledger/parity/*/_errors/*.txt"))) == 2
    assert found[3]["reason"] == "ValueError: odd: 3"


def test_a_damaged_scratch_file_costs_its_clip_only(tmp_path, log):
    job = make_job(tmp_path / "out", [Ids(error_on=3)], clips=4, unit_size=4)
    with pytest.raises(RunFailed):
        go(job, breaker=Breaker(max_error_fraction=0.1, after_clips=4))
    part = sorted(job.scratch("000000").glob("*.part"))[0]
    content = bytearray(part.read_bytes())
    content[700] ^= 255  # inside a member, behind its header
    part.write_bytes(content)
    before = log()
    go(job)
    assert (log() - before).total() <= 2  # the damaged clip and the one that had failed


def test_a_full_disk_ends_the_run_with_one_line_and_leaves_nothing_half(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", small], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a tmpfs needs more rights")
    try:
        job = make_job(small / "out", [Ids()], clips=60, unit_size=3)
        for engine in (HERE, POOL):
            with pytest.raises(RunFailed, match=r"^No space left on the device of .*run the same command again"):
                go(job, engine)
        committed = [path.stem for path in small.glob("out/ledger/**/*.parquet")]
        for path in small.glob("out/shards/**/*.tar"):
            with tarfile.open(path) as tar:
                assert len(tar.getnames()) == 6 or path.stem not in committed
        subprocess.run(["mount", "-o", "remount,size=20m", small], check=True)
        go(job)
        go(make_job(tmp_path / "roomy", [Ids()], clips=60, unit_size=3))
        assert shard_hashes(small / "out") == shard_hashes(tmp_path / "roomy")
        assert not list(small.glob("out/**/.*tmp*"))
    finally:
        subprocess.run(["umount", small], check=True)


def test_the_monitor_counts_what_it_is_told(tmp_path):
    events = []
    job = make_job(tmp_path, [Ids(absent_on=0, error_on=1)])
    run(job, HERE, event=lambda event, **fields: events.append((event, fields)), breaker=Breaker(), quiet=True)
    assert [event for event, _ in events] == ["pass", "unit", "unit", "unit", "pass_end"]
    assert events[-1][1] == {"name": "annotate", "units": 3, "ok": 4, "absent": 1, "error": 1}


def test_progress_names_the_pass_and_counts_clips(tmp_path, capsys):
    monitor = Monitor("annotate", clips=3, units=1, event=silent, breaker=Breaker())
    with monitor:
        pass
    assert "annotate" in capsys.readouterr().err
