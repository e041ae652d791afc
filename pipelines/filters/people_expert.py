"""People by a detector with weights: how many there are, whether they stay, and so the paper's group of the clip.

UnityVideo's data have single-human and two-human clips (Fig. 4, arXiv 2512.07831); it does not say how they were told.
Here a clip is `single_human` or `two_human` if most samples show that many people of some size and tracks say that they
are the same all along; all else is `other`. The weight-free filter `people` is a weak first guess beside it.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from openuni.annotators.expert import terms
from openuni.annotators.people import PeopleStage, people_in
from openuni.annotators.people_tracks import Detections, Linking
from openuni.annotators.weights import Found
from openuni.clip import Clip
from openuni.engine.stage import Column, Result
from openuni.errors import BadInput

GROUPS = {1: "single_human", 2: "two_human"}
OTHER = "other"
GROUP = "people_expert.group"
OWN_GROUPS = ("koala36m", "opens2v")  # sources that are groups of the paper themselves
DETECTOR = "rtdetr-r50"
LASTING = 0.2  # ours: a track in fewer of the samples is a passer-by or a false find
SLOW = Linking(reach=1.5, reach_growth=0.3, min_frames=1)  # ours: two samples a second, a step is half a height long


@dataclass(kw_only=True)
class PeopleFilter(PeopleStage):
    """Counts and tracks people by a detector; needs weights, so it must be named in --filters.

    No frames: all columns are missing. Nobody is 0, and `other`.
    """

    min_height: float = 0.2
    """Share of the picture's height that a person must have to count: bystanders do not. Ours."""
    min_agreement: float = 0.7
    """Share of the samples that must show as many people as the median, for a group. Ours: a person who is cut off or
    turned away for a moment is missed."""

    name: ClassVar[str] = "people_expert"
    licence: ClassVar[str] = terms(DETECTOR)
    expert: ClassVar[str] = DETECTOR
    columns: ClassVar[tuple[Column, ...]] = (
        Column("count", "people", "median over the samples of the people at least min_height high"),
        Column("agreement", "0-1", "share of the samples that show as many"),
        Column("most", "people", "most people in a sample"),
        Column("tracks", "people", "different people who are there in a fifth of the samples or more"),
        Column("score", "0-1", "mean score of what was found; missing if nobody was"),
        Column("height_fraction", "0-1", "median height of the tallest person over the picture's, 0 without people"),
        Column("group", "text", "single_human, two_human or other"),
    )

    def __post_init__(self) -> None:
        """Check the settings, then as PeopleStage."""
        if not (0 <= self.min_height <= 1 and 0 <= self.min_agreement <= 1):
            raise BadInput(
                f"people_expert.min_height and min_agreement must be 0 to 1, got {self.min_height} and "
                f"{self.min_agreement}."
            )
        if self.detector:  # what the stage's files and licence are then: an instance's own values of class variables
            setattr(self, "expert", self.detector)  # noqa: B010
        super().__post_init__()
        setattr(self, "licence", terms(self.expert))  # noqa: B010

    def needed(self) -> tuple[str, ...]:
        """Return nothing: the detector is the expert itself."""
        return ()

    def load(self, found: Found) -> None:
        """Load nothing: the detector is loaded once for all stages, at its first use."""

    def finder(self) -> tuple[str, Found]:
        """See PeopleStage.finder."""
        return self.expert, self.found

    def __call__(self, clip: Any) -> Result:
        """Score one clip by its samples, (T, H, W, 3) uint8."""
        rgb = clip.frames.rgb
        if not len(rgb):
            return Result({column.name: None for column in self.columns})
        found = [_tall(one, self.min_height * rgb.shape[1]) for one in self._detect(rgb)]
        tracks = people_in(rgb, found, SLOW).tracks
        counts = np.array([len(one.boxes) for one in found])
        lasting = int(((tracks.found >= 0).mean(axis=0) >= LASTING).sum()) if len(tracks.ids) else 0
        count, agreement, group = group_of(counts, lasting, self.min_agreement)
        heights = [(one.boxes[:, 3] - one.boxes[:, 1]).max(initial=0) / rgb.shape[1] for one in found]
        scores = np.concatenate([one.scores for one in found])
        return Result(
            {
                "count": count,
                "agreement": agreement,
                "most": int(counts.max()),
                "tracks": lasting,
                "score": float(scores.mean()) if scores.size else None,
                "height_fraction": float(np.median(heights)),
                "group": group,
            }
        )


def group_of(counts: np.ndarray, lasting: int, min_agreement: float) -> tuple[int, float, str]:
    """Say how many people a clip shows, in how many samples so many, and its group.

    Args:
        counts: (T,) people in each sample.
        lasting: people who stay.
        min_agreement: share of the samples that must show the median, for a group.
    """
    count = int(np.sort(counts)[len(counts) // 2])
    agreement = float((counts == count).mean())
    same = lasting == count and agreement >= min_agreement
    return count, agreement, GROUPS.get(count, OTHER) if same else OTHER


def _tall(found: Detections, min_height_px: float) -> Detections:
    tall = found.boxes[:, 3] - found.boxes[:, 1] >= min_height_px
    return Detections(found.boxes[tall], found.scores[tall])


def grouped(clip: Clip, found: str | None) -> Clip:
    """Return a clip in the group that its people make, where its source named no group and is none of the paper's.

    Args:
        clip: as its source lists it.
        found: the column `group`; None if it was not scored.
    """
    named = clip.group not in ("", clip.source) or clip.source in OWN_GROUPS
    if named or found is None or found not in GROUPS.values():
        return clip
    return replace(clip, group=found)
