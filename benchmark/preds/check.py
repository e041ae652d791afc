"""Check: every question of suites looked up in a folder of predictions, what is missing or wrong one line each."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from openuni.benchmark.preds.generator import Predictions
from openuni.benchmark.suite import Item, Suite
from openuni.errors import BadInput
from openuni.generator import Answer, Unanswerable


class Fault(NamedTuple):
    """One question whose prediction cannot be used, or only in part."""

    question: str
    """TASK-MODALITY/SAMPLE/seed-N"""
    kind: str
    """missing, wrong, or nan: it is used, but some of its numbers are none."""
    what: str


def check_folder(
    predictions: Predictions,
    sources: Sequence[tuple[Suite, Path | None]],
    *,
    samples: int | None = None,
    counts: Counter[str],
) -> Iterator[Fault]:
    """Read every prediction of the folder's questions.

    Args:
        predictions: the folder.
        sources: whose questions, and the clips or the file of prompts that they are about.
        samples: answers for each question; None: as many as each suite says.
        counts: filled in while it goes: ok, missing, wrong, nan, questions; extra: files of no sample.

    Yields:
        What is not in order.
    """
    can, known = set(predictions.capabilities()), set()
    for suite, data in sources:
        for item in suite.items(data):
            known.add(item.sample)
            for task, modality in suite.pairs:
                if item.problem or (task, modality) not in item.pairs or (task, modality) not in can:
                    continue
                for number in range(samples or suite.samples):
                    counts["questions"] += 1
                    fault = _fault(predictions, suite, data, item, (task, modality, number))
                    counts[fault.kind if fault else "ok"] += 1
                    if fault:
                        yield fault
    for task, modality in sorted(can):
        folder = Path(predictions.folder).expanduser() / f"{task}-{modality}"
        for path in sorted(folder.iterdir()):
            name = path.name if path.is_dir() else path.stem
            if name not in known and not name.startswith("."):
                counts["extra"] += 1
                yield Fault(f"{task}-{modality}/{path.name}", "extra", "is of no sample of this data")


def _fault(
    predictions: Predictions, suite: Suite, data: Path | None, item: Item, asked: tuple[str, str, int]
) -> Fault | None:
    task, modality, number = asked
    name = f"{task}-{modality}/{item.sample}/seed-{number}"
    try:
        ask = replace(suite.ask((data or Path()) / item.path, task, modality), sample=item.sample, number=number)
        answer = predictions(ask)
    except Unanswerable:
        return Fault(name, "missing", "is missing")
    except BadInput as error:
        return Fault(name, "wrong", str(error))
    none = _not_numbers(answer)
    return Fault(name, "nan", f"{none:,} numbers are NaN or infinite; they are scored as invalid") if none else None


def _not_numbers(answer: Answer) -> int:
    """How many numbers of the map are none, sky at infinity and the last frame of flow aside."""
    if answer.map is None or answer.map.data.dtype.kind != "f":
        return 0
    data = answer.map.data[:-1] if answer.map.data.ndim == 4 and answer.map.data.shape[3] == 2 else answer.map.data
    metric = answer.map.facts.get("kind") == "metric_depth"
    return int((np.isnan(data) if metric else ~np.isfinite(data)).sum())
