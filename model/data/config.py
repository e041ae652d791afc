"""Settings of the training loader, and the table of sizes that a batch may have."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from openuni.codec.rgb import DECODERS
from openuni.errors import BadInput, UnknownName
from openuni.table import MODALITIES

BALANCES = ("groups", "none")
STRIDED_FLOWS = ("compose", "drop")
SPLITS = ("train", "validation")
ASPECTS = ((9, 16), (3, 4), (1, 1), (4, 3), (16, 9))
"""Height to width of common video. Ours."""


@dataclass(frozen=True, kw_only=True)
class LoaderConfig:
    """What is read, how a batch is put together, and by how many workers."""

    builds: tuple[str, ...]
    """Folders of finished builds, or fsspec addresses of them ("s3://bucket/build")."""
    modalities: tuple[str, ...] | None = None
    """Maps to read; None: all that the builds have. A clip without one of them has no map of it, never zeros."""
    groups: tuple[str, ...] | None = None
    """Source groups to read; None: all. A curriculum's first stage reads single-person data alone."""
    batch_size: int = 32
    """Samples of a step over all ranks. Paper: 32."""
    num_maps: int = 1
    """Modality streams: a clip with fewer of the modalities is left out."""
    num_frames: tuple[int, ...] = (81,)
    """Lengths that a batch may have; a clip is given the longest that it fills."""
    frame_step: int = 4
    """Lengths are a multiple of this, and 1: the codec's reduction in time. Wan: 4."""
    fps: float | None = 16.0
    """Frame rate; None takes every frame as it is stored. Frames are picked by their times, never interpolated."""
    sizes: tuple[tuple[int, int], ...] = ((480, 832),)
    """Sizes (height, width) px that a batch may have, of about equal area; see `size_table`."""
    grid: int = 16
    """Sizes are multiples of this, px: the codec's reduction times the patch. Wan: 8 x 2."""
    max_upscale: float = 1.25
    """A clip that would have to be enlarged more than this for every size is left out. Ours: builds never enlarge."""
    strided_flow: str = "compose"
    """Flow where frames are left out: compose (summed along the path) or drop (the sample has no flow)."""
    flip: float = 0.5
    """Share of training samples that are mirrored; not those whose caption says left or right."""
    uv: bool = False
    """Keep DensePose's U and V. Then `flip` must be 0: how a chart mirrors is not part of the format."""
    balance: str = "groups"
    """groups: each batch has equally many samples of each source group; none: clips are drawn regardless of it."""
    bench_lists: tuple[str, ...] = ()
    """Text files of clips that are never read: a key, source_key or source_video a line, # starts a comment."""
    decoder: str = "pyav"
    """For the frames, of openuni.codec.rgb.DECODERS."""
    seed: int = 0
    """Of order, windows and flips."""
    workers: int = 2
    """Processes that read; 0 reads in this one."""
    prefetch: int = 2
    """Samples that each worker holds ready."""
    pin: bool = False
    """Put samples into page-locked memory, from where a GPU copies without waiting."""

    def __post_init__(self) -> None:
        """Check values.

        Raises:
            BadInput: a value out of range, a length that is not 4n + 1, a size off the grid.
            UnknownName: no such modality or decoder.
        """
        if not self.builds or isinstance(self.builds, str):
            raise BadInput(f"loader.builds must be a tuple of one or more build folders, got {self.builds!r}.")
        lows = {"batch_size": 1, "num_maps": 0, "grid": 1, "frame_step": 1, "workers": 0, "prefetch": 1}
        for name, low in lows.items():
            if getattr(self, name) < low:
                raise BadInput(f"loader.{name} must be at least {low}, got {getattr(self, name)}.")
        step = self.frame_step
        if not self.num_frames or any(length < 1 or (length - 1) % step for length in self.num_frames):
            example = ", ".join(str(1 + step * n) for n in range(2))
            raise BadInput(
                f"loader.num_frames must be of the form {step}n + 1 ({example}, ... {1 + 20 * step}), got "
                f"{self.num_frames}."
            )
        if not self.sizes or any(side < 1 or side % self.grid for size in self.sizes for side in size):
            raise BadInput(f"loader.sizes must be (height, width) in multiples of {self.grid} px, got {self.sizes}.")
        if self.fps is not None and not self.fps > 0:
            raise BadInput(f"loader.fps must be above 0 or none, got {self.fps}.")
        if not self.max_upscale > 0:
            raise BadInput(f"loader.max_upscale must be above 0, got {self.max_upscale}.")
        if not 0 <= self.flip <= 1:
            raise BadInput(f"loader.flip must be from 0 to 1, got {self.flip}.")
        if self.uv and self.flip:
            raise BadInput("loader.uv keeps U and V, which cannot be mirrored; set loader.flip=0, or leave uv out.")
        for kind, value, known in (
            ("balance", self.balance, BALANCES),
            ("strided_flow", self.strided_flow, STRIDED_FLOWS),
            ("decoder", self.decoder, DECODERS),
        ):
            if value not in known:
                raise UnknownName(f"loader.{kind}", value, known)
        for name in self.modalities or ():
            if name not in MODALITIES:
                raise UnknownName("modality", name, MODALITIES)
        if self.modalities is not None and len(set(self.modalities)) < max(1, self.num_maps):
            raise BadInput(f"{self.num_maps} map streams need as many modalities, got {', '.join(self.modalities)}.")


def size_table(
    height: int, width: int, *, grid: int = 16, aspects: Sequence[tuple[int, int]] = ASPECTS
) -> tuple[tuple[int, int], ...]:
    """Return sizes of about the area of height x width, one for each aspect, with the given size for its own.

    Args:
        height: px, a multiple of `grid`.
        width: px, a multiple of `grid`.
        grid: px.
        aspects: height to width.

    Returns:
        (height, width) pairs, each side the nearest multiple of `grid`, at least one; no pair twice.
    """
    sizes = [(height, width)]
    for rows, columns in aspects:
        if abs(math.log(rows * width / (columns * height))) < 0.15:  # ours: 480 x 832 stands for 9:16
            continue
        side = math.sqrt(height * width / (rows * columns))
        sizes.append((max(1, round(side * rows / grid)) * grid, max(1, round(side * columns / grid)) * grid))
    return tuple(dict.fromkeys(sizes))
