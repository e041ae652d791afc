"""Generators for tests: the truth as a prediction, with faults on demand."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openuni.benchmark.synth.files import read_truth
from openuni.benchmark.synth.render import maps_of
from openuni.generator import Answer, Size, Unanswerable
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
