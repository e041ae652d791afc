"""Packing experts into passes by a GPU's memory; what nvidia-smi says; workers of one GPU."""

import os

import numpy as np
import pytest

from openuni.engine import local as local_module
from openuni.engine.gpus import gpu_memories_gb, parse_listing
from openuni.engine.job import Job
from openuni.engine.local import _fit, _one_gpu
from openuni.engine.packing import USABLE, pack
from openuni.engine.stage import Needs, Stage


def stage(name, vram_gb=0.0, reads=(), gpus=None):
    kind = type(name, (Stage,), {"name": name, "reads": tuple(reads)})
    one = kind()
    one.needs = Needs(cpus=1.0, gpus=float(bool(vram_gb)) if gpus is None else gpus, vram_gb=vram_gb)
    return one


def names(packs):
    return [one.stages for one in packs]


def test_what_fits_together_is_one_pass_and_shares_the_gpu_among_workers():
    (one,) = pack([stage("rgb"), stage("flow", 8), stage("depth", 6), stage("check", reads=("flow",))], 80)
    assert one.stages == ("rgb", "flow", "depth", "check")
    assert one.vram_gb == 14 and one.workers_per_gpu == 4 and one.gpus == 0.25  # 5 would fit; 4 is the most
    (one,) = pack([stage("flow", 8), stage("depth", 6)], 32)
    assert one.workers_per_gpu == 2


def test_what_does_not_fit_runs_behind_and_its_checks_with_it():
    packs = pack(
        [stage("rgb"), stage("flow", 8), stage("depth", 6), stage("masks", 12), stage("flow_check", reads=("flow",)),
         stage("mask_check", reads=("masks", "flow"))],
        24,
    )  # fmt: skip
    assert names(packs) == [("rgb", "flow", "depth", "flow_check"), ("masks", "mask_check")]
    assert [one.workers_per_gpu for one in packs] == [1, 1]


def test_a_smaller_expert_fills_an_earlier_pass_unless_it_reads_a_later_one():
    stages = [stage("a", 14), stage("b", 14), stage("c", 6)]
    assert names(pack(stages, 24)) == [("a", "c"), ("b",)]
    stages[2] = stage("c", 6, reads=("b",))
    assert names(pack(stages, 24)) == [("a",), ("b", "c")]


def test_without_a_gpu_there_is_one_pass_and_no_share():
    (one,) = pack([stage("rgb"), stage("flow", reads=("rgb",))], 24)
    assert (one.workers_per_gpu, one.gpus, one.vram_gb) == (0, 0.0, 0.0)


def test_what_is_larger_than_the_gpu_runs_alone_and_is_told(caplog):
    packs = pack([stage("rgb"), stage("small", 4), stage("huge", 40)], 24)
    assert names(packs) == [("rgb", "small"), ("huge",)] and packs[1].workers_per_gpu == 1
    assert "huge needs about 40 GB of a GPU that has 24 GB" in caplog.text


@pytest.mark.parametrize("seed", range(20))
def test_every_stage_is_in_one_pass_none_before_what_it_reads_and_none_over_the_memory(seed):
    rng = np.random.default_rng(seed)
    stages = []
    for number in range(12):
        reads = [f"s{other}" for other in range(number) if rng.random() < 0.2]
        stages.append(stage(f"s{number}", float(rng.choice([0, 0, 3, 6, 11, 19])), reads))
    packs = pack(stages, 24)
    place = {name: number for number, one in enumerate(packs) for name in one.stages}
    assert sorted(place) == sorted(one.name for one in stages) and sum(len(one.stages) for one in packs) == 12
    for one in stages:
        assert all(place[other] <= place[one.name] for other in one.reads)
    assert all(one.vram_gb <= 24 * USABLE or len(one.stages) == 1 for one in packs)
    for one in packs:
        assert list(one.stages) == sorted(one.stages, key=lambda name: int(name[1:]))


LISTING = "0, GPU-a, 81559\n1, GPU-b, 24564\n"


@pytest.mark.parametrize(
    ("visible", "memories"),
    [(None, (85.5, 25.8)), ("1", (25.8,)), ("GPU-b,GPU-a", (25.8, 85.5)), ("", ()), ("7", ())],
)
def test_gpus_are_those_this_process_may_use(visible, memories):
    assert parse_listing(LISTING, visible) == pytest.approx(memories, abs=0.05)
    assert parse_listing("No devices were found\n", None) == ()


def test_no_nvidia_smi_is_no_gpu(monkeypatch):
    monkeypatch.setenv("PATH", "")
    gpu_memories_gb.cache_clear()
    assert gpu_memories_gb() == ()
    gpu_memories_gb.cache_clear()


def test_local_workers_are_as_many_as_the_gpus_carry_each_with_one_of_them(monkeypatch, tmp_path):
    job = Job(name="annotate", out=tmp_path, stages=(stage("flow", 8),), open_view=lambda clip: None, gpu_share=1 / 3)
    monkeypatch.setattr(local_module, "gpu_memories_gb", lambda: (25.8, 25.8))
    assert _fit(job) == 6
    monkeypatch.setattr(local_module, "gpu_memories_gb", lambda: ())
    assert _fit(job) > 1000  # nothing is known of GPUs: as many as the user says
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    with _one_gpu(1):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
    with _one_gpu(None):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,5"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with _one_gpu(1):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_a_part_of_a_job_runs_its_stages_alone_with_the_same_fingerprints(tmp_path):
    stages = (stage("flow", 8), stage("depth", 6, reads=("flow",)))
    job = Job(name="annotate", out=tmp_path, stages=stages, open_view=lambda clip: None)
    from dataclasses import replace

    part = replace(job, only=frozenset({"depth"}), gpu_share=0.5)
    assert part.fingerprints == job.fingerprints
    assert [one.name for one in part.todo("u")] == ["depth"] and [one.name for one in job.todo("u")] == [
        "flow",
        "depth",
    ]
    assert part.share == (1.0, 0.5) and job.share == (1.0, 1.0)
