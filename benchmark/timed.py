"""Timed: a stage as it is, with its CPU time as one more score."""

import time
from typing import Any

from openuni.engine.stage import Column, Result, Stage

CPU_S = "cpu_s_per_frame"


class Timed(Stage):
    """Wraps an annotator. Decoding is not counted, nor is reading another modality's map."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        # What the engine reads of a stage; on the instance, because every annotator has its own.
        self.name = stage.name  # type: ignore[misc]
        self.version = stage.version  # type: ignore[misc]
        self.needs = stage.needs  # type: ignore[misc]
        self.reads = stage.reads  # type: ignore[misc]
        self.modality = stage.modality  # type: ignore[misc]
        self.expert = stage.expert  # type: ignore[misc]
        self.licence = stage.licence  # type: ignore[misc]
        self.columns = (*stage.columns, Column(CPU_S, "s", "CPU time of all threads for one frame"))  # type: ignore[misc]

    @property
    def weights_hash(self) -> str:  # type: ignore[override]
        """The annotator's, which may know it only after `setup`."""
        return self._stage.weights_hash

    def parameters(self) -> dict[str, Any]:
        """Return the annotator's parameters and its class, which its fingerprint needs."""
        cls = type(self._stage)
        return {"stage": f"{cls.__module__}.{cls.__qualname__}", **self._stage.parameters()}

    def setup(self) -> None:
        """Set the annotator up."""
        self._stage.setup()

    def __call__(self, clip: Any) -> Result:
        """Annotate a clip and measure."""
        frames = len(clip.frames.rgb)  # decodes
        started = time.process_time()
        result = self._stage(clip)
        spent = time.process_time() - started
        return Result({**result.scores, CPU_S: spent / frames}, result.map)
