"""unibench-est: maps estimated from RGB of rendered or imported clips, scored against exact truth by the judge."""

from collections.abc import Iterator
from pathlib import Path

from openuni.benchmark.floor import floor_scores
from openuni.benchmark.judge import VERSION as JUDGE_VERSION
from openuni.benchmark.judge import Scored, judge
from openuni.benchmark.predictions import Prediction
from openuni.benchmark.suite import Item
from openuni.benchmark.synth.files import clip_names, read_frames_of, read_truth
from openuni.benchmark.synth.listing import list_rendered
from openuni.benchmark.synth.scene import FPS
from openuni.engine.atomic import sha256_of
from openuni.engine.stage import Absent
from openuni.errors import BadInput
from openuni.generator import Ask
from openuni.table import MODALITIES

ARRAYS = {
    "depth": "depth",
    "flow": "flow",
    "densepose": "densepose",
    "skeleton": "keypoints",
    "segmentation": "segmentation",
}
"""Modality -> the array of truth without which it cannot be scored; all rendered clips have all of them."""


class UniBenchEst:
    """All five modalities, task est."""

    name = "unibench-est"
    title = "UniBench estimation"
    version = f"2 (judge {JUDGE_VERSION})"
    pairs = tuple(("est", name) for name in MODALITIES)
    prompted = False
    samples = 1

    def refuses(self, data: Path | None) -> str:
        """See Suite.refuses."""
        if data is None:
            return "no --data: give a rendered or imported folder"
        try:
            clip_names(data)
        except BadInput as error:
            return str(error)
        return ""

    def items(self, data: Path | None) -> Iterator[Item]:
        """See Suite.items."""
        assert data is not None, "refuses said so"
        for facts in list_rendered(data):
            name = str(facts["clip"])
            folder = data / "clips" / name
            problem = str(facts.get("problem", ""))
            known = facts.get("arrays", list(ARRAYS.values()))
            yield Item(
                sample=name,
                cluster=str(facts.get("scene", name)),
                family=str(facts.get("family", "")),
                caption=str(facts.get("caption", "")),
                path=f"clips/{name}",
                content="" if problem else f"{frames_digest(folder)} {facts['truth_sha256']}",
                pairs=tuple(pair for pair in self.pairs if ARRAYS[pair[1]] in known),
                problem=problem,
            )

    def ask(self, folder: Path, task: str, modality: str) -> Ask:
        """See Suite.ask: the frames."""
        rgb, fps = read_frames_of(folder)
        frames, height, width = rgb.shape[:3]
        return Ask(
            task=task, modality=modality, sample=folder.name, rgb=rgb, num_frames=frames, height=height, width=width,
            fps=fps,
        )  # fmt: skip

    def setup(self) -> None:
        """Nothing is loaded."""

    def score(self, folder: Path, task: str, modality: str, prediction: Prediction) -> list[Scored]:
        """See Suite.score."""
        assert prediction.map is not None, "est has a map"
        truth = read_truth(folder)
        if not truth.has(ARRAYS[modality]):
            raise Absent(f"truth_has_no_{modality}")
        about = prediction.about.get("about", {})
        floor = floor_scores(modality, truth, about, fps=float(prediction.about.get("fps", FPS)))
        return judge(modality, prediction.map, truth) + floor


def frames_digest(folder: Path) -> str:
    """Of what `ask` reads: the PNG files where there are any, else the mp4."""
    import hashlib

    pictures = sorted((folder / "rgb").glob("*.png"))
    if not pictures:
        return sha256_of(folder / "rgb.mp4")
    return hashlib.sha256("".join(sha256_of(path) for path in pictures).encode()).hexdigest()


assert set(ARRAYS) == set(MODALITIES)
