"""Pairs of a study: clips that two systems made to the same question, in an order and on sides that nobody chose.

Order and sides follow from hashes of the seed and the question, so that the same command makes the same study and its
answers can be read without a key.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from openuni.benchmark.predictions import ABOUT, FRAMES, PREDICTIONS
from openuni.errors import BadInput

PAIRS = 24
"""Ours: at three axes and ten seconds a clip about a quarter of an hour. The paper's study has 12 videos."""
LEFT, RIGHT, SAME = "left", "right", "same"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One question that both systems answered."""

    key: str
    """Its name in the page and in answers: says nothing of systems or sides."""
    sample: str
    """The prompt's or clip's name: what both were asked about."""
    caption: str
    first: Path
    """A's prediction folder."""
    second: Path
    """B's."""
    first_is_left: bool


@dataclass(frozen=True)
class Study:
    """All pairs in the order of the page before each rater's own shuffle."""

    id: str
    """Hash of both systems' clips, the seed and the pairs; answers name it."""
    names: tuple[str, str]
    """A's and B's."""
    pairs: tuple[Pair, ...]


def make_study(
    a: Path, b: Path, *, pairs: int = PAIRS, seed: int = 0, task: str = "", names: tuple[str, str] | None = None
) -> Study:
    """Choose the pairs of two runs.

    Args:
        a: output folder of `openuni bench --model`, or its predictions folder.
        b: another one.
        pairs: at most so many; each sample once before any twice.
        seed: of order and sides.
        task: take only this task's clips: text, cond or joint; empty: all that have RGB.
        names: of the systems; None: as their predictions say.

    Raises:
        BadInput: a folder has no clips, or they have no question in common.
    """
    if pairs < 1:
        raise BadInput(f"--pairs is {pairs}; give at least 1.")
    ours, theirs = _clips(a, task), _clips(b, task)
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        raise BadInput(
            f"{a} and {b} have no question in common that both answered with RGB{f' in task {task}' if task else ''}. "
            "Bench both with the same suite, data or prompts."
        )
    chosen = _spread(common, seed)[:pairs]
    said = [(question, _about(ours[question]), _about(theirs[question])) for question in chosen]
    text = json.dumps([seed, [[question, one["files"][FRAMES], two["files"][FRAMES]] for question, one, two in said]])
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    found = tuple(
        Pair(
            key=_hash(digest, question, "key")[:12], sample=question.split("/")[1],
            caption=str(one.get("caption", "")), first=ours[question], second=theirs[question],
            first_is_left=int(_hash(digest, question, "side"), 16) % 2 == 0,
        )
        for question, one, _ in said
    )  # fmt: skip
    _, one, two = said[0]
    return Study(digest, names or _names(str(one.get("system", "A")), str(two.get("system", "B"))), found)


def _names(first: str, second: str) -> tuple[str, str]:
    return (first, second) if first != second else (f"{first} (A)", f"{second} (B)")


def _clips(folder: Path, task: str) -> dict[str, Path]:
    """TASK-MODALITY/SAMPLE/seed-N -> folder, of predictions with RGB frames."""
    root = folder / PREDICTIONS if (folder / PREDICTIONS).is_dir() else folder
    found = {
        path.relative_to(root).parent.as_posix(): path.parent
        for path in sorted(root.glob(f"*-*/*/seed-*/{FRAMES}"))
        if (path.parent / ABOUT).is_file() and (not task or path.parts[-4].startswith(f"{task}-"))
    }
    if not found:
        raise BadInput(
            f"{folder} has no generated clips ({PREDICTIONS}/TASK-MODALITY/SAMPLE/seed-N/{FRAMES}). Make some with: "
            "openuni bench --model MODEL --suite plain"
        )
    return found


def _spread(questions: list[str], seed: int) -> list[str]:
    """By hash, each sample once before any twice."""
    by_sample: dict[str, list[str]] = {}
    for question in sorted(questions, key=lambda one: _hash(str(seed), one, "order")):
        by_sample.setdefault(question.split("/")[1], []).append(question)
    ranked = [(rank, question) for many in by_sample.values() for rank, question in enumerate(many)]
    return [question for _, question in sorted(ranked, key=lambda one: (one[0], _hash(str(seed), one[1], "order")))]


def _about(folder: Path) -> dict[str, dict[str, str]]:
    try:
        found = json.loads((folder / ABOUT).read_text("utf-8"))
        if isinstance(found["files"][FRAMES], str):
            return dict(found)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise BadInput(f"{folder / ABOUT} is damaged. Delete {folder} and bench again.")


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
