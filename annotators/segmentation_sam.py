"""Segmentation of everything: SAM proposes masks on key frames, SAM 2 follows them over the clip."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from openuni.annotators.expert import ExpertStage, terms
from openuni.annotators.mask_sets import Proposal
from openuni.annotators.mask_tracks import Followed, Follower, follow
from openuni.annotators.sam2_follower import Sam2
from openuni.annotators.sam_proposals import Grid, SegmentAnything, TransformersSam
from openuni.annotators.weights import Found
from openuni.engine.stage import Absent, Column, Result
from openuni.errors import BadInput
from openuni.modality import Map

Find = Callable[[np.ndarray, Follower, int], list[Proposal]]
MOST_IDS = 65535  # what the codec's uint16 holds
COLUMNS = (
    Column("objects", "objects", "number of ids"),
    Column("coverage", "0..1", "share of pixels that belong to an object"),
    Column("persistence", "0..1", "share of frames in which an object is there, mean over objects"),
    Column("proposals", "masks", "whole things proposed, over all key frames"),
    Column("found_later", "objects", "objects found after the first key frame"),
    Column("lost", "objects", "objects that are not there in the last frame"),
    Column("left_out", "objects", "objects beyond max_objects"),
)


@dataclass(kw_only=True)
class FollowedMasks(ExpertStage):
    """What all experts share that find things on key frames and follow them with SAM 2. Subclasses find them.

    Result.map: data (T, H, W) uint8, uint16 beyond 255 ids; instance id, stable over the clip, 0 is background; ids 1,
    2, ... by first appearance, of those that appear together the larger first. Facts: `labels`, what each id is, where
    things were asked for by name.

    Raises:
        Absent: `nothing_found`.
    """

    key_every: int = 16
    """Frames between key frames. Ours: one second at the build's rate."""
    max_objects: int = 32
    """No more ids than this. Ours: time and memory of following go with it; 65535 is what files can hold."""
    min_area: float = 0.002
    """Smallest thing, as a share of the picture. As segmentation-motion."""
    max_area: float = 0.6
    """Largest thing, as a share of the picture: larger ones are taken for background. Ours."""

    name: ClassVar[str] = "segmentation"
    modality: ClassVar[str | None] = "segmentation"
    columns: ClassVar[tuple[Column, ...]] = COLUMNS
    follower: ClassVar[str] = "sam2.1-large"
    """Row of EXPERTS whose network follows; among the expert's `uses`."""

    def __post_init__(self) -> None:
        """Check the settings, then as ExpertStage."""
        if self.key_every < 1 or not 1 <= self.max_objects <= MOST_IDS:
            raise BadInput(
                f"segmentation.key_every must be 1 or more and segmentation.max_objects 1 to {MOST_IDS}, "
                f"got {self.key_every} and {self.max_objects}."
            )
        if not 0 <= self.min_area < self.max_area <= 1:
            raise BadInput(
                "segmentation.min_area and max_area must be shares, 0 <= min_area < max_area <= 1, "
                f"got {self.min_area} and {self.max_area}."
            )
        super().__post_init__()

    def load(self, found: Found) -> None:
        """Load what finds, and SAM 2."""
        self.sam2 = Sam2(self.used[self.follower], self.torch_device, self.dtype)
        self.sam2.model.vision_encoder = self.compiled(self.sam2.model.vision_encoder)
        self.load_finder(found)

    def load_finder(self, found: Found) -> None:
        """Load the network that finds things.

        Raises:
            BadInput: the files are damaged or for another network.
        """
        raise NotImplementedError

    def find(self, rgb: np.ndarray, follower: Follower, frame: int) -> list[Proposal]:
        """Propose masks for a key frame.

        Args:
            rgb: (T, H, W, 3) uint8 RGB, the whole clip.
            follower: SAM 2 on that clip, for those who find boxes alone.
            frame: number of the key frame.
        """
        raise NotImplementedError

    def follow(self, rgb: np.ndarray) -> Followed:
        """Find and follow the things of a clip, (T, H, W, 3) uint8 RGB."""
        return self.follow_from(rgb, range(0, len(rgb), self.key_every), self.find)

    def follow_from(self, rgb: np.ndarray, keys: Sequence[int], find: Find) -> Followed:
        """Follow what `find` finds on key frames; arguments as those of `find` below and mask_tracks.follow."""
        furthest = max(later - earlier for earlier, later in zip([0, *keys], [*keys, keys[-1]], strict=True))

        def run() -> Followed:
            clip = self.sam2.open(rgb, cache=furthest + 1)
            return follow(
                len(rgb),
                lambda frame: find(rgb, clip, frame),
                clip,
                keys=keys,
                max_objects=self.max_objects,
                min_area=self.min_area,
                max_area=self.max_area,
            )

        found: Followed = self.sam2.shrinking(run)
        return found

    def __call__(self, clip: Any) -> Result:
        """Segment a clip."""
        rgb = clip.frames.rgb
        if rgb.ndim != 4 or rgb.shape[-1] != 3 or rgb.dtype != np.uint8:
            raise ValueError(f"frames must be (T, H, W, 3) uint8, got {rgb.shape} {rgb.dtype}")
        return result_of(self.follow(rgb))


def result_of(found: Followed) -> Result:
    """Make the map of what was followed, and its scores.

    Raises:
        Absent: `nothing_found`.
    """
    if not found.objects:
        raise Absent("nothing_found")
    there = np.stack([(found.data == one).any(axis=(1, 2)) for one in range(1, found.objects + 1)])
    scores = {
        "objects": found.objects,
        "coverage": float((found.data > 0).mean()),
        "persistence": float(there.mean()),
        "proposals": found.proposals,
        "found_later": found.later,
        "lost": int((~there[:, -1]).sum()),
        "left_out": found.left_out,
    }
    facts = {"labels": found.labels} if any(found.labels) else {}
    return Result(scores=scores, map=Map(data=found.data, facts=facts))


@dataclass(kw_only=True)
class Sam(FollowedMasks):
    """Masks of everything by SAM (original checkpoints, segment_anything), followed by SAM 2."""

    points_per_side: int = 32
    """The grid that is searched has so many points along each side. segment_anything's."""
    min_iou: float = 0.88
    """Least quality that the network gives a mask itself. segment_anything's."""
    min_stability: float = 0.95
    """Least IoU of a mask cut one logit above and one below 0. segment_anything's."""
    max_overlap: float = 0.7
    """Of two masks whose boxes overlap by more (IoU), the better one stays. segment_anything's."""
    batch_size: int = 64
    """Points of the grid at a time. segment_anything's."""

    expert: ClassVar[str] = "sam"
    licence: ClassVar[str] = terms("sam")
    vram_gb: ClassVar[float] = 12.0

    @property
    def grid(self) -> Grid:
        """How pictures are searched."""
        return Grid(
            points_per_side=self.points_per_side,
            min_iou=self.min_iou,
            min_stability=self.min_stability,
            max_overlap=self.max_overlap,
        )

    def load_finder(self, found: Found) -> None:
        """Load SAM from one of its authors' files."""
        self.proposer: Any = SegmentAnything(found, self.torch_device, self.dtype, self.grid, self.batches)
        network = self.proposer.generator.predictor.model
        network.image_encoder = self.compiled(network.image_encoder)

    def find(self, rgb: np.ndarray, follower: Follower, frame: int) -> list[Proposal]:
        """Everything that SAM proposes."""
        made: list[Proposal] = self.proposer(rgb[frame])
        return made


@dataclass(kw_only=True)
class SamTransformers(Sam):
    """Masks of everything by SAM (transformers), followed by SAM 2."""

    expert: ClassVar[str] = "sam-hf"
    licence: ClassVar[str] = terms("sam-hf")

    def load_finder(self, found: Found) -> None:
        """Load SAM as transformers has it."""
        self.proposer = TransformersSam(found, self.torch_device, self.dtype, self.grid, self.batches)
        network = self.proposer.pipeline.model
        network.vision_encoder = self.compiled(network.vision_encoder)
