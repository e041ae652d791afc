"""The Ray engine on a real Ray: the same bytes as the local one, deadly clips isolated."""

import pytest

from openuni.engine.local import LocalEngine
from openuni.engine.monitor import Breaker
from openuni.engine.ray import RayEngine
from openuni.engine.run import choose_engine
from openuni.errors import BadInput, RunFailed
from tests.openuni.engine.cases import Ids, Parity, Twice, make_job, shard_hashes
from tests.openuni.engine.test_engine import by_number, go


@pytest.fixture(scope="module")
def ray():
    """One Ray for the module: starting it costs seconds."""
    import logging

    import ray

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100_000_000,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    yield RayEngine("local")
    ray.shutdown()


@pytest.mark.timeout(300)
def test_ray_writes_the_bytes_that_the_local_engine_writes(tmp_path, ray):
    for name, engine in (("ray", ray), ("local", LocalEngine(0))):
        go(make_job(tmp_path / name, [Parity(), Ids(absent_on=1), Twice()]), engine)
    assert shard_hashes(tmp_path / "ray") == shard_hashes(tmp_path / "local")


@pytest.mark.timeout(300)
def test_a_deadly_clip_ends_as_crash_on_ray_and_the_run_finishes(tmp_path, ray):
    job = make_job(tmp_path, [Ids(deadly_on=(1,), death="segv")], clips=4, unit_size=2)
    go(job, ray)
    statuses = {number: (row["status"], row["reason"]) for number, row in by_number(job, job.stages[0]).items()}
    assert statuses.pop(1) == ("crash", "killed_by_SIGSEGV")
    assert set(statuses.values()) == {("ok", "")}


@pytest.mark.timeout(300)
def test_the_breaker_stops_ray(tmp_path, ray):
    job = make_job(tmp_path, [Ids(error_on=0, seconds=1.0)], clips=12, unit_size=4)
    with pytest.raises(RunFailed, match="clips failed in pass annotate"):
        go(job, ray, Breaker(max_error_fraction=0.0, after_clips=1))
    assert len(list(tmp_path.glob("ledger/*/*/*.parquet"))) < 3


def test_a_pass_that_needs_a_gpu_is_refused_where_there_is_none(tmp_path, ray):
    class Hungry(Ids):
        needs = Ids.needs._replace(gpus=1.0)

    with pytest.raises(BadInput, match="needs 1 CPUs and 1 GPUs; the Ray cluster has 2 and 0"):
        go(make_job(tmp_path, [Hungry()]), ray)


def test_the_options_choose_the_engine(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert choose_engine("off", None, cores=3) == LocalEngine(3)
    assert choose_engine("auto", 2, cores=3) == RayEngine("local", 2)
    assert choose_engine("10.0.0.1:6379", None, cores=3) == RayEngine("10.0.0.1:6379")
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert choose_engine("auto", None, cores=3) == RayEngine("auto")
    with pytest.raises(BadInput, match="--workers is 0; give at least 1"):
        choose_engine("off", 0, cores=3)
