"""openuni.env: defaults before imports, the user's settings first."""

import logging
import os
import subprocess
import sys

import pytest

from openuni import env


@pytest.fixture
def bare(monkeypatch):
    """An environment without any of the names that openuni.env knows."""
    for name in (*env.DEFAULTS, *env.LOCAL_RAY, *env.FORWARDED, "OMP_NUM_THREADS"):
        # setenv first: what prepare() sets is then undone at the end, also where the name was absent before.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_prepare_sets_every_default_and_says_so(bare):
    assert env.prepare(threads=3) == {**env.DEFAULTS, "OMP_NUM_THREADS": "3"}
    assert {name: os.environ[name] for name in env.DEFAULTS} == dict(env.DEFAULTS)


def test_prepare_keeps_what_the_user_has_set(bare, monkeypatch):
    monkeypatch.setenv("RAY_DATA_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    done = env.prepare(threads=3)
    assert os.environ["RAY_DATA_LOG_LEVEL"] == "DEBUG"
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert not {"RAY_DATA_LOG_LEVEL", "OMP_NUM_THREADS"} & done.keys()


def test_prepare_twice_changes_nothing(bare):
    env.prepare()
    assert env.prepare() == {}


def test_without_a_number_all_usable_cores_are_taken(bare):
    env.prepare()
    assert os.environ["OMP_NUM_THREADS"] == str(env.usable_cores())
    assert 1 <= env.usable_cores() <= os.cpu_count()


def test_threads_below_one_are_refused(bare):
    with pytest.raises(ValueError, match="threads must be 1 or more, got 0"):
        env.prepare(threads=0)
    assert "OMP_NUM_THREADS" not in os.environ


def test_threads_after_an_import_that_reads_them_is_warned_about(bare, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "torch", sys)
    with caplog.at_level(logging.WARNING):
        env.prepare(threads=2)
    assert "threads=2 may have no effect: torch" in caplog.text


@pytest.mark.parametrize(("cpus", "threads"), [(0.5, "1"), (1, "1"), (2.9, "2"), (16, "16")])
def test_a_worker_gets_as_many_threads_as_it_has_cpus(bare, monkeypatch, cpus, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", "64")  # the driver's
    assert env.worker_env(cpus)["OMP_NUM_THREADS"] == threads


def test_workers_get_the_users_values_and_offline_switches(bare, monkeypatch):
    assert env.worker_env().keys() == {*env.DEFAULTS, "OMP_NUM_THREADS"}
    monkeypatch.setenv("YOLO_VERBOSE", "true")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    settings = env.worker_env()
    assert settings["YOLO_VERBOSE"] == "true"
    assert settings["HF_HUB_OFFLINE"] == "1"


def test_neither_offline_mode_nor_ray_authentication_is_forced(bare):
    env.prepare()
    assert not {"HF_HUB_OFFLINE", "RAY_AUTH_MODE"} & os.environ.keys()
    assert "RAY_AUTH_MODE" not in env.worker_env()


def test_the_file_needs_only_the_standard_library():
    code = "import sys, openuni.env; print({'numpy', 'torch', 'ray', 'cv2', 'rich', 'typer'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
