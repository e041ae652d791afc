"""Decoded frames to upright 8-bit RGB of a wanted size, with the stream's own colour matrix and range.

swscale's defaults are wrong twice (measured: docs/frames.md): untagged HD material is converted with BT.601, and its
fast 4:2:0 path makes every channel about 2 levels too dark. Here the matrix is always said, and the flags below give
the formula's result to within rounding.
"""

from typing import TYPE_CHECKING

import numpy as np

from openuni.frames.errors import DecodeError
from openuni.frames.probe import Orientation
from openuni.frames.target import Size

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

MATRICES = {1: "ITU709", 4: "FCC", 5: "ITU601", 6: "ITU601", 7: "SMPTE240M", 9: "BT2020", 10: "BT2020"}
"""Matrix code of ITU-T H.273, table 4 (also FFmpeg's AVColorSpace) -> swscale's name of it."""
UNTAGGED = (2, 3)  # "unspecified" and "reserved" of the same table
HD_WIDTH_PX, HD_HEIGHT_PX = 1280, 577
"""Untagged video at least this wide or high is taken for BT.709, else BT.601: mpv's and libplacebo's rule. Width
counts too: Koala-36M has 1280 x 640 clips, cut from 720p."""
FULL_RANGE = 2  # AVColorRange AVCOL_RANGE_JPEG; anything else of YUV is limited range


class RgbConverter:
    """Convert frames of one video. Keeps swscale's tables between frames."""

    def __init__(self, size: Size, orientation: Orientation) -> None:
        """Prepare.

        Args:
            size: of the upright pictures that are wanted.
            orientation: how stored pictures are brought upright.
        """
        from av.video.reformatter import Interpolation, VideoReformatter

        self._orientation = orientation
        turned = orientation.rotation_deg in (90, 270)
        self._stored_size = Size(size.height, size.width) if turned else size
        self._reformatter = VideoReformatter()
        # AREA averages all source pixels under an output pixel (no aliasing). ACCURATE_RND and the FULL_CHR flags
        # avoid the dark fast path; BITEXACT gives the same bytes on any CPU.
        self._flags = int(
            Interpolation.AREA
            | Interpolation.ACCURATE_RND
            | Interpolation.FULL_CHR_H_INT
            | Interpolation.FULL_CHR_H_INP
            | Interpolation.BITEXACT
        )

    def __call__(self, frame: "VideoFrame") -> np.ndarray:
        """Convert one frame.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            DecodeError: unsupported_colour.
        """
        from av.video.reformatter import Colorspace

        matrix = matrix_of(frame)
        rgb = self._reformatter.reformat(
            frame,
            width=self._stored_size.width,
            height=self._stored_size.height,
            format="rgb24",
            src_colorspace=Colorspace[matrix] if matrix else None,
            src_color_range=range_of(frame) if matrix else None,
            interpolation=self._flags,
            threads=1,
        ).to_ndarray()
        return upright(rgb, self._orientation)


def matrix_of(frame: "VideoFrame") -> str | None:
    """Name the matrix that turns a frame's YUV to RGB; None for RGB and gray, which need none.

    Raises:
        DecodeError: unsupported_colour.
    """
    if frame.format.is_rgb or len(frame.format.components) < 3:
        return None
    code = int(frame.colorspace)
    if code in UNTAGGED:
        return "ITU709" if frame.width >= HD_WIDTH_PX or frame.height >= HD_HEIGHT_PX else "ITU601"
    if code not in MATRICES:
        known = ", ".join(str(known) for known in sorted(MATRICES))
        raise DecodeError(
            "unsupported_colour", f"colour matrix {code} (ITU-T H.273) is not one of {known}. Convert the file first."
        )
    return MATRICES[code]


def range_of(frame: "VideoFrame") -> str:
    """Name the value range of a YUV frame in swscale's words: MPEG is limited, JPEG is full."""
    return "JPEG" if int(frame.color_range) == FULL_RANGE or frame.format.name.startswith("yuvj") else "MPEG"


def upright(picture: np.ndarray, orientation: Orientation) -> np.ndarray:
    """Mirror and turn a stored (H, W, 3) picture for display."""
    if orientation.mirrored:
        picture = picture[:, ::-1]
    return np.rot90(picture, k=-orientation.rotation_deg // 90)
