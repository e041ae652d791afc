"""results.json: what a model's bench found, and everything that decides a number. Records have the single numbers."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openuni.benchmark.judge import COVERAGE
from openuni.benchmark.judge import VERSION as JUDGE_VERSION
from openuni.benchmark.predictions import PREDICTIONS
from openuni.benchmark.records import RECORDS, Record
from openuni.benchmark.suite import Item, Suite
from openuni.benchmark.summary import summarise
from openuni.benchmark.vbench.aggregate import section
from openuni.engine.atomic import sha256_of, write_bytes
from openuni.generator import Generator
from openuni.run import versions
from openuni.table import METRICS, load

RESULTS = "results.json"
SCHEMA = 1
"""Raise it when a key changes its meaning or goes."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a run was, besides its records."""

    generator: Generator
    fingerprint: str
    suites: Sequence[Suite]
    label: str
    items: Mapping[str, Mapping[str, Item]]
    """Suite -> sample -> item."""
    skipped: Counter[str]
    statuses: Mapping[tuple[str, str, str], Counter[str]]
    not_asked: Mapping[tuple[str, str, str], str]
    config: Mapping[str, Any]


def write_results(path: Path, records: Sequence[Record], asked: Asked) -> None:
    """Write results.json beside the records, whole or not at all."""
    config = asked.config
    samples = {sample: item.content for many in asked.items.values() for sample, item in many.items()}
    told = {
        "schema": SCHEMA,
        "label": asked.label,
        "system": asked.generator.name,
        "model": {"asked": config["model"], "fingerprint": asked.fingerprint, **asked.generator.describe()},
        "suites": {
            suite.name: {"title": suite.title, "version": suite.version, **getattr(suite, "describe", dict)()}
            for suite in asked.suites
        },
        "data": {
            "folder": str(Path(config["data"]).absolute()) if config["data"] else "",
            "label": asked.label,
            "samples": len(samples),
            "sha256": hashlib.sha256(json.dumps(sorted(samples.items())).encode()).hexdigest(),
            "left_out": dict(asked.skipped),
        },
        "run": {
            key: config[key] for key in ("samples", "limit", "prompts", "prompt_limit", "seed", "settings", "experts")
        },
        "judge": JUDGE_VERSION,
        "versions": versions(),
        "predictions": PREDICTIONS,
        "records": {"file": RECORDS, "rows": len(records), "sha256": sha256_of(path.with_name(RECORDS))},
        "questions": [
            {"suite": suite, "task": task, "modality": modality, "asked": counts.total(), "counts": dict(counts)}
            for (suite, task, modality), counts in asked.statuses.items()
        ],
        "not_asked": [
            {"suite": suite, "task": task, "modality": modality, "reason": reason}
            for (suite, task, modality), reason in asked.not_asked.items()
        ],
        "metrics": {name: about_metric(name) for name in dict.fromkeys(one.metric for one in records)},
        "vbench": section(records),
        "results": result_lines(records, [suite.name for suite in asked.suites]),
    }
    text = json.dumps(told, indent=1, default=str, allow_nan=False)
    write_bytes(path, text.encode() + b"\n")


def about_metric(name: str) -> dict[str, Any]:
    """Return a metric's unit and which way is better; None where neither way is."""
    if name in METRICS:
        metric = load("metric", METRICS, name)
        return {"unit": metric.unit, "higher_is_better": metric.higher_is_better}
    return {"unit": "share" if name.endswith(COVERAGE) else "", "higher_is_better": None}


def result_lines(records: Sequence[Record], suites: Sequence[str]) -> list[dict[str, Any]]:
    """Return means with intervals, suite by suite."""
    found = []
    for suite in suites:
        for line in summarise([one for one in records if one.suite == suite]):
            about = {key: value for key, value in line._asdict().items() if key not in ("system", "family")}
            found.append({"suite": suite, **about, **about_metric(line.metric)})
    return found
