"""vbench: generated RGB scored on VBench's eight dimensions, each of which needs weights but temporal flickering."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from openuni.benchmark.headline import VBENCH, VBENCH_CLIPS
from openuni.benchmark.judge import Scored
from openuni.benchmark.predictions import FRAMES, Prediction
from openuni.benchmark.prompts import Prompt
from openuni.benchmark.suite import Item
from openuni.benchmark.suites.prompted import Prompted
from openuni.benchmark.suites.unibench_est import UniBenchEst
from openuni.benchmark.synth.files import read_frames_of, read_truth
from openuni.benchmark.synth.render import maps_of
from openuni.benchmark.vbench.dimensions import COMPUTED
from openuni.benchmark.vbench.frames import ClipFrames, Video
from openuni.benchmark.vbench.listing import is_official, official_prompts, read_json
from openuni.benchmark.vbench.records import rows
from openuni.benchmark.vbench.scorer import STATIC, Scorer
from openuni.errors import BadInput
from openuni.generator import Ask
from openuni.table import MODALITIES

VERSION = "1"
"""Raise it when the same frames get other numbers from the same features."""
ALL = "custom"
"""Item.path of prompts of which every dimension is asked: VBench's custom_input mode."""


class _Scoring:
    """What both suites score with."""

    @property
    def version(self) -> str:
        """What decides a number, the weights that were found included."""
        return f"{VERSION} ({self.scorer.describe()})"

    @cached_property
    def scorer(self) -> Scorer:
        """Finds the weights; loads none before a clip needs them."""
        return Scorer()


class VBench(_Scoring, Prompted):
    """Our own prompts or a user's: all dimensions. VBench's official list: each prompt's own, with the static filter.

    An item's path is no folder here: it names the dimensions that are asked, for `score` to read.
    """

    name = VBENCH
    title = "VBench"

    def refuses(self, data: Path | None) -> str:
        """See Suite.refuses."""
        try:
            return "" if self._official(data) else super().refuses(data)
        except BadInput as error:
            return str(error)

    def items(self, data: Path | None) -> Iterator[Item]:
        """See Suite.items."""
        official = self._official(data)
        if not official:
            for item in super().items(data):
                yield replace(item, path=ALL)
            return
        for text, dimensions in official.items():
            prompt = Prompt(text=text, group=dimensions[0])
            asked = [name for name in dimensions if name in COMPUTED]
            if "temporal_flickering" in asked:
                asked.append(STATIC)
            yield Item(
                sample=prompt.sample, cluster=prompt.sample, family=prompt.group, caption=text,
                path=",".join(["official", *asked]), content=f"prompt {','.join(asked)}", pairs=self.pairs,
                problem="" if asked else "only_dimensions_that_are_not_computed_here",
            )  # fmt: skip

    def setup(self) -> None:
        """See Suite.setup: networks are loaded when a clip needs them."""

    def score(self, folder: Path, task: str, modality: str, prediction: Prediction) -> list[Scored]:
        """See Suite.score."""
        kind, *asked = folder.name.split(",")
        return score_prediction(self.scorer, prediction, None if kind == ALL else asked)

    def _official(self, data: Path | None) -> dict[str, tuple[str, ...]]:
        """Prompt -> dimensions where `data` is VBench's list; else nothing."""
        if data is None or data.suffix.lower() != ".json":
            return {}
        counts = Counter[str]()
        said = read_json(data, counts)
        return official_prompts(said, data, counts) if is_official(said) else {}


class VBenchClips(_Scoring):
    """RGB made from a map, and made jointly with one, on rendered or imported clips: all dimensions.

    The paper's ControlGen and JointGen. It runs only where it is named: ten generations for each clip.
    """

    name = VBENCH_CLIPS
    title = "VBench on controlled and joint generation"
    pairs = tuple((task, name) for task in ("cond", "joint") for name in MODALITIES)
    prompted = False
    samples = 1
    named_only = True

    def refuses(self, data: Path | None) -> str:
        """See Suite.refuses."""
        return UniBenchEst().refuses(data)

    def items(self, data: Path | None) -> Iterator[Item]:
        """See Suite.items: the clips of estimation, asked for what they have a map of."""
        for item in UniBenchEst().items(data):
            known = {modality for _, modality in item.pairs}
            yield replace(item, pairs=tuple(pair for pair in self.pairs if pair[1] in known))

    def ask(self, folder: Path, task: str, modality: str) -> Ask:
        """See Suite.ask: the true map in cond, nothing but the size in joint."""
        rgb, fps = read_frames_of(folder)
        frames, height, width = rgb.shape[:3]
        given = maps_of(read_truth(folder))[modality] if task == "cond" else None
        return Ask(
            task=task, modality=modality, sample=folder.name, map=given, num_frames=frames, height=height, width=width,
            fps=fps,
        )  # fmt: skip

    def setup(self) -> None:
        """See Suite.setup: networks are loaded when a clip needs them."""

    def score(self, folder: Path, task: str, modality: str, prediction: Prediction) -> list[Scored]:
        """See Suite.score."""
        return score_prediction(self.scorer, prediction, None)


def score_prediction(scorer: Scorer, prediction: Prediction, asked: Sequence[str] | None) -> list[Scored]:
    """Score the RGB of a prediction by its caption.

    Args:
        scorer: what scores.
        prediction: with RGB.
        asked: the official suite's dimensions of its prompt, STATIC among them where it is filtered; None: all, and no
            filter.
    """
    assert prediction.rgb is not None, "text, cond and joint have RGB"
    about, rgb = prediction.about, prediction.rgb
    fps = float(about["fps"])
    clip = ClipFrames(content=f"{about['files'][FRAMES]} {fps}", read=lambda: Video(rgb, fps))
    values = scorer.score(clip, prompt=str(about["caption"]), dimensions=COMPUTED if asked is None else asked)
    return rows(values, flags={}, filtered=asked is not None)
