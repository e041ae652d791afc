"""Global motion: how the picture as a whole moved between two frames, told apart from what moves by itself.

One corner per cell of a grid (minimal eigenvalue: Shi and Tomasi, CVPR 1994) is tracked by pyramidal Lucas-Kanade
(Bouguet 2000), which keeps the fractions of a pixel that a slow camera moves in a frame; pipelines/planar.py fits the
dominant motion. Dense DIS flow of the same size was no more exact, and says nothing of where it is worth something.

Points and displacements are complex numbers x + iy in longer sides of the picture, from its middle, x right, y down.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from openuni.pipelines.planar import (
    MIN_POINTS,
    RELATIVE,
    REST,
    Similarity,
    fit_plane,
    fit_similarity,
    parallax_share,
    robust_weights,
    sampled_similarity,
)

CELL_PX = (
    25  # ours: 13 x 8 cells at 320 px, each with one corner, so that shares of corners are shares of area. 20 px were
)
# no more exact on generated and rendered clips, and cost a sixth more
WINDOW_PX = 13  # of Lucas-Kanade; ours: 9 px were as exact on clean pictures and worse on noisy ones, 21 cost more
LEVELS = 3  # of the pyramid above the picture: 8 times half a window is the farthest that can be found, 19 % of 320 px
STOP = (3, 10, 0.03)  # OpenCV's both, steps, px; ours: its default of 30 and 0.01 costs a tenth more for the same
LIGHT_PX = 31  # ours: twice the window; of 15 and 31 px the latter keeps more of a blurred picture
MIN_GRADIENT = 0.7  # grey levels per px, RMS in the weaker direction; ours: twice what noise of 2 levels leaves
NATIVE_PX, SAMPLE_PX = 0.15, 0.4
"""Noise of a track, px at 320, of consecutive frames and of frames half a second apart. Ours: the spread of the tracks
on three pictures moved by 0 to 10 % of the width per second, noise of 0 to 4 levels, x264 crf 15 to 32."""
EDGE, MIN_EDGE = 0.125, 0.15
"""Width of the picture's edge, longer sides, and the share of it that must move if a camera does. Ours: movers on up to
40 % of the picture before a bare wall gave 0 to 0.13, moving cameras 0.17 (before an evening sky) to 1."""
MIN_ANCHORED = 0.25  # of the corners; ours: below it, a resting picture has too few corners to measure a slow drift

_BLOCK_PX, _SOBEL_GAIN = 5, 8  # of the minimal eigenvalue; Sobel's 3 x 3 answers 8 to a slope of 1
_TELLING = 1.5  # px; ours: by less the shading of a smooth wall cannot tell
_SHADE_PX = 11  # ours: noise is averaged out over so many px, so that faint shading tells
_SAME_GREY = 0.2  # grey levels, mean over a cell; ours: what noise and coding leave of a still wall is below


class Motion(NamedTuple):
    """Dominant motion of the picture between two frames."""

    plane: Similarity
    """Motion of what moves as one far or flat thing: the background, as a rule."""
    whole: Similarity
    """Mean motion of all but what moves far from the plane: another one only where a travelling camera sees depth."""
    following: float
    """Share of the picture that moves with the plane, 0 to 1: of its corners, and of its area where that rests."""
    anchored: float
    """Share of the corners that move with the plane, lost ones included; 0 if there are none along the picture's edge,
    so that a tremor could not be told."""
    parallax: float
    """Share of the corners that depart from the plane as depth does in a travelling camera's picture, beyond chance."""


class Picture:
    """A small grey frame and what tracking needs of it, made once for all frames that it is compared with."""

    def __init__(self, grey: np.ndarray) -> None:
        self.grey = grey
        """(h, w) uint8, longer side about 320 px."""

    @cached_property
    def flat(self) -> np.ndarray:
        """The picture less its local mean, (h, w) uint8 around 128.

        Lucas-Kanade takes grey levels as they are; lamps flash, exposures adapt and torches wander.
        """
        import cv2

        return np.asarray(cv2.addWeighted(self.grey, 1.0, cv2.blur(self.grey, (LIGHT_PX, LIGHT_PX)), -1.0, 128.0))

    @cached_property
    def corners(self) -> np.ndarray:
        """The strongest corner of each cell that has texture: (M, 2) float32 x, y px."""
        import cv2

        # OpenCV sums squares of Sobel / (4 * block * 255) over the block.
        unit = _SOBEL_GAIN / (4 * _BLOCK_PX * 255)
        least = _BLOCK_PX**2 * (MIN_GRADIENT * unit) ** 2
        rows, columns = _grid(self.flat.shape)
        padding = [(0, -side % CELL_PX) for side in self.flat.shape]
        strength = np.pad(cv2.cornerMinEigenVal(self.flat, _BLOCK_PX), padding)
        cells = strength.reshape(rows, CELL_PX, columns, CELL_PX).swapaxes(1, 2).reshape(-1, CELL_PX**2)
        row, column = np.divmod(np.arange(len(cells)), columns)
        y, x = np.divmod(cells.argmax(axis=1), CELL_PX)
        corners = np.stack([column * CELL_PX + x, row * CELL_PX + y], axis=1).astype(np.float32)
        return np.asarray(corners[cells.max(axis=1) >= least])


class _Tracks(NamedTuple):
    points: np.ndarray
    """(N,) complex, starts of those found."""
    steps: np.ndarray
    """(N,) complex, their displacements."""
    lost: np.ndarray
    """(M - N,) complex, starts of those lost."""
    unit: np.ndarray
    """Longer sides per px, (2,) x and y; they differ where a thin picture was stretched."""
    half: np.ndarray
    """Half the width and height, longer sides."""


def global_motion(
    before: Picture, after: Picture, *, size: tuple[int, int], noise_px: float, resting: bool = False
) -> Motion | None:
    """Find the dominant motion from one frame to another.

    Args:
        before: one frame.
        after: another one of the same size.
        size: height and width of the frames before they were made small; only their ratio counts.
        noise_px: noise of a track, px of the small frames: NATIVE_PX or SAMPLE_PX.
        resting: the camera is known to rest around this time, and only its tremor is looked for: from one frame to the
            next a speaker moves too little to be told from the wall behind.

    Returns:
        None if there is no telling: fewer than MIN_POINTS corners can be tracked, as in dark or empty pictures, or
        something moves, but not the picture's edge.
    """
    tracks = _track(before, after, size)
    if tracks is None:
        return None
    points, steps, noise = tracks.points, tracks.steps, noise_px * float(tracks.unit.max())
    stays = np.abs(steps) < 2 * noise
    start, rest = REST, 0.0
    if not resting:
        start = sampled_similarity(points, steps, noise)
        bare_stay, bare_go = _bare_votes(before, after, tracks, start)
        rest = float((stays.sum() + bare_stay) / (len(points) + bare_stay + bare_go))
    if rest > 0.5 and stays.mean() < MIN_ANCHORED:
        made = np.zeros_like(steps)
    else:
        rests = resting or rest > 0.5
        made = fit_plane(points, steps, REST if rests else start, noise, coarse=not rests)
    left = steps - made
    tolerance = noise + RELATIVE * np.abs(steps)
    follows = np.abs(left) < 2 * tolerance
    # A camera that travels leaves no plane in its place: where one stays, the rest moves by itself.
    still = not follows.any() or float(np.median(np.abs(steps[follows]))) < 2 * noise
    if _edge_share(tracks, np.full(len(points), True) if still else ~stays) < MIN_EDGE:
        # A little motion in the middle may be the camera's or not; where all stays, the camera rests within the noise.
        rest = max(rest, float(follows.mean()))
        return Motion(REST, REST, following=rest, anchored=0.0, parallax=0.0) if still else None
    away = ~follows & ~stays  # what stays on the screen while the camera moves is a caption
    parallax = 0.0 if still else parallax_share(points[away], left[away], tolerance[away]) * float(away.mean())
    plane = fit_similarity(points, made, follows + 1e-6)  # 1e-6: never singular
    anchored = float(follows.sum() / (len(points) + _lost_inside(tracks, plane)))
    return Motion(
        plane=plane,
        whole=fit_similarity(points, steps, robust_weights(left, 2 * max(noise, float(np.median(np.abs(left)))))),
        following=max(anchored, rest) if still else anchored,
        anchored=anchored,
        parallax=parallax,
    )


def _track(before: Picture, after: Picture, size: tuple[int, int]) -> _Tracks | None:
    import cv2

    corners = before.corners
    if len(corners) < MIN_POINTS:
        return None
    window = (WINDOW_PX, WINDOW_PX)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(  # type: ignore[call-overload]  # None: no first guess
        before.flat, after.flat, corners[:, None], None, winSize=window, maxLevel=LEVELS, criteria=STOP
    )
    tracked = (found[:, 0] > 0) & np.isfinite(moved[:, 0]).all(axis=1)
    if tracked.sum() < MIN_POINTS:
        return None
    extent = np.array(before.grey.shape[::-1])
    unit = np.array(size[::-1]) / extent / max(size)
    starts, ends = (((xy - (extent - 1) / 2) * unit) @ [1, 1j] for xy in (corners, moved[:, 0]))
    return _Tracks(starts[tracked], (ends - starts)[tracked], starts[~tracked], unit, extent * unit / 2)


def _grid(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of cells; the last ones may reach over the edge."""
    return -(-shape[0] // CELL_PX), -(-shape[1] // CELL_PX)


def _bare_votes(before: Picture, after: Picture, tracks: _Tracks, motion: Similarity) -> tuple[int, int]:
    """How many cells without a corner stayed in place, and how many moved by `motion` instead.

    Corners lie where texture is, which may be on a speaker before a smooth wall; the wall's shading stays in its place.
    """
    import cv2

    shift, turn = motion
    if abs(shift) + abs(turn) * float(np.hypot(*tracks.half)) < _TELLING * tracks.unit.max():
        return 0, 0
    shape = before.grey.shape
    rows, columns = _grid(shape)
    bare = np.ones((rows, columns), dtype=bool)
    bare[tuple((before.corners.astype(int) // CELL_PX).T[::-1])] = False
    if not bare.any():
        return 0, 0
    middle = (np.array(shape[::-1]) - 1) / 2
    linear = np.array([[1 + turn.real, -turn.imag], [turn.imag, 1 + turn.real]]) * tracks.unit / tracks.unit[:, None]
    offset = np.array([shift.real, shift.imag]) / tracks.unit + middle - linear @ middle
    flags, border = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
    matrix = np.column_stack([linear, offset])
    carried = cv2.warpAffine(after.grey, matrix, shape[::-1], flags=flags, borderMode=border)
    stay, go = (
        cv2.resize(
            np.abs(cv2.blur(cv2.subtract(before.grey, other, dtype=cv2.CV_32F), (_SHADE_PX, _SHADE_PX))),
            (columns, rows),
            interpolation=cv2.INTER_AREA,
        )[bare]
        for other in (after.grey, carried)
    )
    return int((stay < go - _SAME_GREY).sum()), int((go < stay - _SAME_GREY).sum())


def _edge_share(tracks: _Tracks, moves: np.ndarray) -> float:
    """Share of the left, right and upper edge whose cells hold a corner that moves.

    A speaker moves in the middle and at the bottom; what a camera does shows along the other edges too.
    """
    points, half = tracks.points[moves], tracks.half
    width = np.minimum(EDGE, half)
    outside = (np.abs(points.real) > half[0] - width[0]) | (points.imag < width[1] - half[1])
    area = 4 * half[0] * half[1] - 2 * (half[0] - width[0]) * (2 * half[1] - width[1])
    return float(outside.sum() * CELL_PX**2 * tracks.unit.prod() / area)


def _lost_inside(tracks: _Tracks, motion: Similarity) -> int:
    """How many lost corners did not leave the picture, by the motion."""
    landed = tracks.lost + motion.shift + motion.turn * tracks.lost
    return int(((np.abs(landed.real) < tracks.half[0]) & (np.abs(landed.imag) < tracks.half[1])).sum())
