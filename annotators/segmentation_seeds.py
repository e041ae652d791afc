"""Segmentation from masks that are published with the clips: OpenS2V's, followed both ways by SAM 2."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from openuni.annotators.expert import terms
from openuni.annotators.mask_sets import Proposal
from openuni.annotators.opens2v_seeds import Seeds, seed_files
from openuni.annotators.sam2_follower import Sam2
from openuni.annotators.segmentation_sam import FollowedMasks, result_of
from openuni.annotators.segmentation_text import with_subjects
from openuni.annotators.weights import Found, file_hash
from openuni.engine.stage import Absent, Result
from openuni.errors import BadInput


@dataclass(kw_only=True)
class OpenS2VMasks(FollowedMasks):
    """OpenS2V's published masks, followed over the clip by SAM 2; labels and subjects are its class names.

    Raises:
        Absent: `no_seeds`, nothing is published for the clip; `seeds_outside`, the frame of the masks is not among the
            clip's (--windows head takes the first frames); `nothing_found`, as FollowedMasks.
        ValueError: the published masks are damaged.
    """

    seeds: str = ""
    """OpenS2V's json file, or its folder of them. Clips are found by key or file name."""

    expert: ClassVar[str] = "opens2v-masks"
    licence: ClassVar[str] = terms("opens2v-masks")
    vram_gb: ClassVar[float] = 6.0
    alone: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Make sure that there are files, then as FollowedMasks."""
        if not self.seeds or not Path(self.seeds).exists():
            raise BadInput(
                f"opens2v-masks needs the published masks, got {self.seeds or 'none'}: "
                "--set segmentation.seeds=FILE_OR_FOLDER, OpenS2V's Jsons."
            )
        self.seeds = str(Path(self.seeds).absolute())
        super().__post_init__()

    def parameters(self) -> dict[str, Any]:
        """As ExpertStage, with the content of the seeds' files for their place."""
        given = Path(self.seeds)
        files = sorted(given.glob("*.json")) if given.is_dir() else [given]
        return {**super().parameters(), "seeds": [file_hash(file) for file in files]}

    def load(self, found: Found) -> None:
        """Load SAM 2, and find the clips of the seeds' files."""
        self.sam2 = Sam2(found, self.torch_device, self.dtype)
        self.files = seed_files(self.seeds)

    def __call__(self, clip: Any) -> Result:
        """Follow a clip's published masks."""
        rgb, times_s = clip.frames.rgb, clip.frames.times_s
        seeds = self.files.of(clip.clip.source_key, Path(clip.clip.source_key).name, Path(clip.clip.path).name)
        if seeds is None:
            raise Absent("no_seeds")
        key = frame_of(seeds, times_s)
        masks = [Proposal(shrink(one.mask, rgb.shape[1:3]), one.score, one.label) for one in seeds.masks]
        return with_subjects(result_of(self.follow_from(rgb, [key], lambda *_: masks)))


def frame_of(seeds: Seeds, times_s: np.ndarray) -> int:
    """Return the number of the frame that seeds belong to.

    Raises:
        Absent: `seeds_outside`, no frame is within half a frame's time of theirs.
    """
    key = int(np.abs(times_s - seeds.time_s).argmin())
    step = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1.0
    if abs(float(times_s[key]) - seeds.time_s) > step / 2 + 1e-3:
        raise Absent("seeds_outside")
    return key


def shrink(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring a mask (H, W) bool to a size (height, width): what it covers for more than half."""
    import cv2

    share = cv2.resize(mask.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(share > 0.5)
