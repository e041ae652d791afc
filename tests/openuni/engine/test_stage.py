"""Fingerprints: everything that decides a stage's results, and nothing else."""

from dataclasses import replace

import pytest

from openuni.engine.job import Job
from openuni.engine.stage import fingerprint
from tests.openuni.engine.cases import Ids, Parity, Twice, open_number


def test_a_fingerprint_depends_on_parameters_version_view_and_what_is_read():
    base = fingerprint(Twice(), read={"segmentation": "a"})

    class Newer(Twice):
        version = "2"

    others = [
        fingerprint(Twice(factor=3.0), read={"segmentation": "a"}),
        fingerprint(Twice(), read={"segmentation": "b"}),
        fingerprint(Twice(), read={"segmentation": "a"}, view="v"),
        fingerprint(Newer(), read={"segmentation": "a"}),
    ]
    assert len({base, *others}) == 5
    assert fingerprint(Twice(), read={"segmentation": "a", "unread": "x"}) == base


def test_other_weights_give_another_fingerprint():
    stage = Parity()
    before = fingerprint(stage, read={})
    stage.weights_hash = "f" * 64
    assert fingerprint(stage, read={}) != before


def test_a_changed_stage_changes_the_fingerprints_of_its_readers_only(tmp_path):
    job = Job(name="a", out=tmp_path, stages=(Parity(), Ids(), Twice()), open_view=open_number)
    other = replace(job, stages=(Parity(), Ids(offset=1), Twice()))
    assert job.fingerprints["parity"] == other.fingerprints["parity"]
    assert job.fingerprints["segmentation"] != other.fingerprints["segmentation"]
    assert job.fingerprints["depth"] != other.fingerprints["depth"]


def test_a_stage_before_what_it_reads_is_our_own_mistake(tmp_path):
    with pytest.raises(AssertionError, match="do not run before it"):
        Job(name="a", out=tmp_path, stages=(Twice(), Ids()), open_view=open_number)
