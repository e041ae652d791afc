"""Experts `truth`: the exact maps of rendered clips, handed over as an annotator's. They read truth.npz beside rgb.mp4.

Maps are of exactly the frames and the size that the build keeps; see openuni/benchmark/synth/resample.py.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from openuni.benchmark.synth.render import maps_of
from openuni.benchmark.synth.resample import frames_left_out, truth_of
from openuni.benchmark.synth.truth import Truth
from openuni.engine.stage import Absent, Result, Stage
from openuni.modality import Map

LICENCE = "no weights: computed from scenes of our own"
_KEY = "synth.truth"


def shared_truth(view: Any) -> Truth:
    """Return the truth of a view's clip, read once for all its stages.

    Raises:
        Absent: see `truth_of`.
    """
    if _KEY not in view.shared:
        view.shared[_KEY] = truth_of(view.path, view.frames)
    found: Truth = view.shared[_KEY]
    return found


@dataclass(kw_only=True)
class _TruthStage(Stage):
    """One modality of the truth.

    Raises:
        Absent: `no_truth`, `not_the_rendered_frames`; `truth_has_no_...`, an imported clip's source does not tell it.
    """

    licence: ClassVar[str] = LICENCE

    def __call__(self, clip: Any) -> Result:
        """Read and hand over the map."""
        return Result(map=self._map(shared_truth(clip)))

    def _map(self, truth: Truth) -> Map:
        assert self.modality is not None
        maps = maps_of(truth)
        if self.modality not in maps:
            raise Absent(f"truth_has_no_{self.modality}")
        return maps[self.modality]


@dataclass(kw_only=True)
class TruthDepth(_TruthStage):
    """True depth of a rendered clip, metres along the optical axis; sky is +inf and valid."""

    name: ClassVar[str] = "depth"
    modality: ClassVar[str | None] = "depth"
    expert: ClassVar[str] = "truth-depth"


@dataclass(kw_only=True)
class TruthFlow(_TruthStage):
    """True forward flow of a rendered clip, with occlusion.

    Raises:
        Absent: also `frames_left_out`, where the build takes fewer frames per second than were rendered.
    """

    name: ClassVar[str] = "flow"
    modality: ClassVar[str | None] = "flow"
    expert: ClassVar[str] = "truth-flow"

    def _map(self, truth: Truth) -> Map:
        if frames_left_out(truth):
            raise Absent("frames_left_out")
        return super()._map(truth)


@dataclass(kw_only=True)
class TruthSegmentation(_TruthStage):
    """True instance ids of a rendered clip, stable over time."""

    name: ClassVar[str] = "segmentation"
    modality: ClassVar[str | None] = "segmentation"
    expert: ClassVar[str] = "truth-segmentation"


@dataclass(kw_only=True)
class TruthSkeleton(_TruthStage):
    """True COCO joints of a rendered clip; confidence 1 where seen, 0.5 where hidden."""

    name: ClassVar[str] = "skeleton"
    modality: ClassVar[str | None] = "skeleton"
    expert: ClassVar[str] = "truth-skeleton"


@dataclass(kw_only=True)
class TruthDensePose(_TruthStage):
    """True DensePose parts, U and V of a rendered clip's own body model."""

    name: ClassVar[str] = "densepose"
    modality: ClassVar[str | None] = "densepose"
    expert: ClassVar[str] = "truth-densepose"
