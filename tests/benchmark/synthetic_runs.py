"""Bench runs made of drawn numbers, for tests of what is derived from records."""

import json

import numpy as np

from openuni.benchmark.records import RECORDS, Record, write_records

VBENCH = {"background_consistency": 0.96, "aesthetic_quality": 0.55, "overall_consistency": 0.22, "dynamic_degree": 1.0}
DEPTH = {"abs_rel": 0.1, "delta1": 0.9, "flicker": 0.02}


def record(metric, value, sample, *, suite="unibench-est", task="est", modality="depth", protocol="disp-ls", **more):
    about = {"system": "toy", "cluster": sample, "family": "objects", "seed": 0, "valid": 100, "flags": ""} | more
    return Record(
        suite=suite, task=task, modality=modality, sample=sample, metric=metric, protocol=protocol, value=value, **about
    )


def depth_records(samples=12, *, worse=0.0, seed=0, system="toy"):
    """AbsRel and others of each sample: scenes differ by 0.05, seeds of a system by 0.005."""
    scene, own = np.random.default_rng(100), np.random.default_rng(seed)
    found = []
    for number in range(samples):
        hard = scene.normal(0, 0.05)
        for name, value in DEPTH.items():
            better = -1 if name == "delta1" else 1
            drawn = value + better * (hard + worse + own.normal(0, 0.005)) * (0.1 if name == "flicker" else 1)
            found.append(record(f"depth.{name}", float(drawn), f"scene-{number:02d}", system=system))
    return found


def vbench_records(tasks, samples=4, *, metrics=VBENCH, shift=0.0):
    """Values of VBench's dimensions, raw: 0 to 1."""
    return [
        record(
            f"vbench.{name}",
            value - shift,
            f"prompt-{n}",
            suite="vbench",
            task=task,
            modality=modality,
            protocol="vbench",
        )
        for task, modality in tasks
        for name, value in metrics.items()
        for n in range(samples)
    ]


def write_run(folder, records, *, data="unibench", sha256="d" * 64, samples=12, judge="1", **more):
    """Write a run's folder as `openuni bench --model` leaves it, as far as tables read it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / RECORDS, records)
    about = {
        "schema": 1,
        "label": "UniBench-mini",
        "system": "toy",
        "suites": {"unibench-est": {"title": "UniBench estimation", "version": "1"}},
        "data": {"folder": data, "samples": samples, "sha256": sha256, "left_out": {"no_truth": 1}},
        "run": {"samples": 1, "limit": None, "seed": 0, "settings": {"steps": "4"}},
        "judge": judge,
        "versions": {"openuni": "0.1", "numpy": "2.0"},
        "metrics": {"depth.abs_rel": {"unit": "1", "higher_is_better": False}},
    } | more
    (folder / "results.json").write_text(json.dumps(about))
    return folder
