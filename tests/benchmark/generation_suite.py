"""A suite of generation for tests: RGB from text and from maps of rendered clips; the score is the mean gray level."""

from dataclasses import replace

from openuni.benchmark.judge import Scored
from openuni.benchmark.suites.unibench_est import UniBenchEst
from openuni.benchmark.synth.files import read_truth
from openuni.benchmark.synth.render import maps_of
from openuni.generator import RGB, Ask
from openuni.table import MODALITIES


class Generation(UniBenchEst):
    name = "test-generation"
    title = "generation"
    version = "1"
    pairs = (("text", RGB), *(("cond", name) for name in MODALITIES))

    def items(self, data):
        yield from (replace(item, pairs=self.pairs) for item in UniBenchEst().items(data))

    def ask(self, folder, task, modality):
        truth = read_truth(folder)
        frames, height, width = truth.size
        map = maps_of(truth)[modality] if task == "cond" else None
        return Ask(
            task=task, modality=modality, sample=folder.name, map=map, num_frames=frames, height=height, width=width,
            fps=16.0,
        )  # fmt: skip

    def score(self, folder, task, modality, prediction):
        return [Scored("test.gray", "clip", float(prediction.rgb.mean()), prediction.rgb.size)]
