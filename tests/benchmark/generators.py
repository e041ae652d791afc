"""Generators for tests: the truth as a prediction, with faults on demand."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openuni.benchmark.gen import samples
from openuni.benchmark.synth.files import read_truth
from openuni.benchmark.synth.render import maps_of
from openuni.generator import Answer, Size, Unanswerable
from openuni.modality import Map
from openuni.table import MODALITIES

ASKED = []
"""(task, modality, sample, number, seed) of every question that was asked in this process."""


@dataclass
class Truth:
    """Answers est with the truth of a rendered folder, and cond, joint and text with gray frames."""

    root: str = ""
    version: str = "1"
    fails_on: str = ""
    missing: str = ""
    interrupted_after: int = -1
    wrong_size: bool = False
    pause_s: float = 0.0

    name = "truth"

    def fingerprint(self):
        return f"truth {self.version}"

    def capabilities(self):
        return (*((task, name) for task in ("est", "cond", "joint") for name in MODALITIES), ("text", "rgb"))

    def size(self):
        return Size(6, 64, 64, 16.0)

    def describe(self):
        return {"kind": "truth"}

    def setup(self):
        pass

    def __call__(self, ask):
        if len(ASKED) == self.interrupted_after:
            raise KeyboardInterrupt
        time.sleep(self.pause_s)
        ASKED.append((ask.task, ask.modality, ask.sample, ask.number, ask.seed))
        if self.fails_on and ask.sample.startswith(self.fails_on):
            raise RuntimeError("the model fell over")
        if self.missing and ask.sample.startswith(self.missing):
            raise Unanswerable("no_prediction")
        lacks = {"flow.fl": "scale unknown"} if ask.modality == "flow" else {}
        given = {}
        if ask.task in ("est", "joint"):
            map = maps_of(read_truth(Path(self.root, "clips", ask.sample)))[ask.modality]
            if self.wrong_size and ask.modality == "segmentation":
                map = type(map)(data=map.data[:-1], facts=map.facts)
            given["map"] = map
        if ask.task != "est":
            given["rgb"] = np.full((ask.num_frames, ask.height, ask.width, 3), 128, np.uint8)
        return Answer(about={"steps": 3, "seed": ask.seed}, lacks=lacks, **given)


@dataclass
class Echo:
    """Generates a sample's own frames, or noise, and says that what is bright is near, also of frames it is given."""

    root: str = ""
    noise: bool = False
    looks_up: bool = False
    can_estimate: bool = True

    name = "echo"

    def fingerprint(self):
        return f"echo {self.noise} {self.looks_up} {self.can_estimate}"

    def capabilities(self):
        pairs = [(task, name) for task in ("cond", "joint") for name in ("depth", "segmentation")]
        return (*pairs, ("cond", "flow"), ("text", "rgb"), *([("est", "depth")] if self.can_estimate else []))

    def size(self):
        return None

    def describe(self):
        return {}

    def setup(self):
        pass

    def __call__(self, ask):
        ASKED.append((ask.task, ask.modality, ask.sample, ask.number, ask.seed))
        if ask.task == "est":
            return Answer(map=bright_is_near(ask.rgb))
        if ask.task == "cond":
            assert ask.map is not None and ask.rgb is None
        else:
            assert ask.map is None and ask.rgb is None and ask.caption
        rgb = self._frames(ask)
        if ask.task != "joint":
            return Answer(rgb=rgb)
        masks = Map(data=(rgb[..., 0] > 128).astype(np.uint8))
        return Answer(rgb=rgb, map=bright_is_near(rgb) if ask.modality == "depth" else masks)

    def _frames(self, ask):
        if self.noise:
            size = (ask.num_frames, ask.height, ask.width, 3)
            return np.random.default_rng(ask.seed).integers(0, 256, size, dtype=np.uint8)
        return samples.read_sample(next(Path(self.root).glob(f"*/{ask.sample}"))).rgb


def bright_is_near(rgb):
    data = rgb.mean(axis=3, dtype=np.float32)
    return Map(data=data, valid=np.ones(data.shape, bool), facts={"kind": "relative_disparity"})
