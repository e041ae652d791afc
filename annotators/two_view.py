"""Two views of one rigid scene: focal length, relative pose, inverse depth per pixel, and how much parallax there is.

Axes are OpenCV's (x right, y down, z forward); the principal point is the picture's middle; x_b = R x_a + t with
|t| = 1, so inverse depths of a pair, in either of its frames, are in units of 1 / baseline.
Robust fits: MAGSAC++ (Barath et al., CVPR 2020) in OpenCV's USAC, one thread, fixed seed. Five points: Nister 2004.
"""

from typing import NamedTuple

import numpy as np

from openuni.annotators.dis import pixel_grid

CONFIDENCE = 0.999
MAX_ITERATIONS = 500  # ours: at 50 % inliers, 0.5^5 a draw, 220 draws give 99.9 %; local optimisation does the rest
MIN_POINTS = 100  # ours: a MAGSAC fit on fewer of some 100,000 pixels is not worth having

REFINE_ITERATIONS = 5  # ours: the start is a fit or a neighbouring focal length's pose; convergence is quadratic
NUDGE = 1e-6  # radians, for numeric derivatives in float64


class Pose(NamedTuple):
    """Motion from frame a to frame b of a pair, and what supports it."""

    rotation: np.ndarray
    """(3, 3) float64."""
    translation: np.ndarray
    """(3,) float64, length 1."""
    inliers: float
    """Share of the sampled points within the threshold of their epipolar line."""

    def inverse(self) -> "Pose":
        """The motion from b to a, in the same unit."""
        return Pose(self.rotation.T, -self.rotation.T @ self.translation, self.inliers)


class Triangulation(NamedTuple):
    """Per pixel of frame a; (H, W) float32 each."""

    inverse_depth: np.ndarray
    """Signed, 1 / baseline: noise makes far pixels slightly negative, a mover can make it anything."""
    leverage_px: np.ndarray
    """Pixels that the end point moves per unit of inverse depth: 1 / leverage is the uncertainty for 1 px of error."""
    epipolar_px: np.ndarray
    """Distance from the epipolar line: what no inverse depth can explain."""


def sample_points(flow: np.ndarray, usable: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray | None:
    """Draw up to `count` usable pixels and their end points: (N, 4) float64 x, y, x', y'; None below MIN_POINTS."""
    candidates = np.flatnonzero(usable)
    if len(candidates) < MIN_POINTS:
        return None
    chosen = np.sort(rng.choice(candidates, min(count, len(candidates)), replace=False))
    y, x = np.divmod(chosen, flow.shape[1])
    start = np.stack([x, y], axis=1).astype(np.float64)
    return np.concatenate([start, start + flow[y, x]], axis=1)


def _usac(threshold: float, seed: int):  # type: ignore[no-untyped-def]  # cv2.UsacParams; cv2 is imported late
    import cv2

    params = cv2.UsacParams()
    params.confidence, params.maxIterations, params.threshold = CONFIDENCE, MAX_ITERATIONS, threshold
    params.score = cv2.SCORE_METHOD_MAGSAC
    params.loMethod, params.loIterations, params.loSampleSize = cv2.LOCAL_OPTIM_SIGMA, 5, 50
    params.isParallel, params.randomGeneratorState = False, seed
    return params


def _intrinsics(focal: float, shape: tuple[int, int]) -> np.ndarray:
    return np.array([[focal, 0, (shape[1] - 1) / 2], [0, focal, (shape[0] - 1) / 2], [0, 0, 1.0]])


def fit_essential(
    points: np.ndarray, focal: float, shape: tuple[int, int], *, threshold_px: float, seed: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Fit an essential matrix; returns it and each point's Sampson error in px (N,), or None if there is none."""
    import cv2

    camera, none = _intrinsics(focal, shape), np.zeros(4)
    essential, _ = cv2.findEssentialMat(
        points[:, :2], points[:, 2:], camera, camera, none, none, _usac(threshold_px, seed)
    )
    if essential is None or essential.shape != (3, 3):
        return None
    inverse = np.linalg.inv(camera)
    return essential, _sampson(inverse.T @ essential @ inverse, points)


def _sampson(fundamental: np.ndarray, points: np.ndarray) -> np.ndarray:
    ones = np.ones((len(points), 1))
    start, end = np.hstack([points[:, :2], ones]), np.hstack([points[:, 2:], ones])
    line, line_back = start @ fundamental.T, end @ fundamental
    norm = np.sqrt((line[:, :2] ** 2).sum(1) + (line_back[:, :2] ** 2).sum(1))
    return np.abs((end * line).sum(1)) / np.maximum(norm, 1e-12)


def relative_pose(
    points: np.ndarray, focal: float, shape: tuple[int, int], *, threshold_px: float, seed: int
) -> tuple[Pose, np.ndarray] | None:
    """Pose of a pair and which points support it (N,) bool; None if no essential matrix fits."""
    import cv2

    fitted = fit_essential(points, focal, shape, threshold_px=threshold_px, seed=seed)
    if fitted is None:
        return None
    essential, error = fitted
    support = error < threshold_px
    if support.sum() < MIN_POINTS:
        return None
    start, end = points[support, :2], points[support, 2:]
    _, rotation, translation, _ = cv2.recoverPose(essential, start, end, _intrinsics(focal, shape))
    return Pose(rotation, translation.ravel(), float(support.mean())), support


def fit_homography(points: np.ndarray, *, threshold_px: float, seed: int) -> np.ndarray | None:
    """Fit what a turning or zooming camera does: (3, 3) float64, None if nothing can be fitted."""
    import cv2

    homography, _ = cv2.findHomography(points[:, :2], points[:, 2:], _usac(threshold_px, seed))
    return None if homography is None else np.asarray(homography)


def homography_residual(points: np.ndarray, *, threshold_px: float, seed: int) -> np.ndarray:
    """(N,) px: what a turning or zooming camera cannot explain. Zeros, hence no parallax, if nothing can be fitted."""
    homography = fit_homography(points, threshold_px=threshold_px, seed=seed)
    if homography is None:
        return np.zeros(len(points))
    mapped = np.hstack([points[:, :2], np.ones((len(points), 1))]) @ homography.T
    scale = np.where(np.abs(mapped[:, 2:]) > 1e-9, mapped[:, 2:], 1e-9)
    return np.asarray(np.linalg.norm(mapped[:, :2] / scale - points[:, 2:], axis=1))


def triangulate(flow: np.ndarray, pose: Pose, focal: float) -> Triangulation:
    """Inverse depth of every pixel of frame a from its flow to frame b, by least squares, in closed form.

    With q = R x, the end point is x' = (q_xy + w t_xy) / (q_z + w t_z), so w (t_xy - x' t_z) = x' q_z - q_xy: two
    equations for one inverse depth w. Along e = t_xy - x' t_z lies w, across e the epipolar residual.
    Solving for w, not for the depth, keeps far pixels harmless: w is 0 there, with a known uncertainty.
    """
    height, width = flow.shape[:2]
    x, y = pixel_grid(height, width)
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    x_a, y_a = (x - middle_x) / np.float32(focal), (y - middle_y) / np.float32(focal)
    x_b, y_b = x_a + flow[..., 0] / np.float32(focal), y_a + flow[..., 1] / np.float32(focal)
    (r00, r01, r02), (r10, r11, r12), (r20, r21, r22) = pose.rotation.astype(np.float32)
    t_x, t_y, t_z = pose.translation.astype(np.float32)
    q_z = np.maximum(r20 * x_a + r21 * y_a + r22, np.float32(0.1))
    gap_x, gap_y = x_b * q_z - (r00 * x_a + r01 * y_a + r02), y_b * q_z - (r10 * x_a + r11 * y_a + r12)
    e_x, e_y = t_x - x_b * t_z, t_y - y_b * t_z
    squared = np.maximum(e_x * e_x + e_y * e_y, np.float32(1e-9))  # 0 at the epipole, where nothing can be said
    norm = np.sqrt(squared)
    return Triangulation(
        inverse_depth=(gap_x * e_x + gap_y * e_y) / squared,
        leverage_px=np.float32(focal) * norm / q_z,
        epipolar_px=np.float32(focal) * np.abs(gap_x * e_y - gap_y * e_x) / (norm * q_z),
    )


def refine(
    pose: Pose, points: np.ndarray, focal: float, shape: tuple[int, int], *, scale_px: float
) -> tuple[Pose, float]:
    """Polish a pose on all points at once: robust Gauss-Newton on the Sampson error.

    Args:
        pose: where to start.
        points: (N, 4); see `sample_points`.
        focal: px.
        shape: (H, W).
        scale_px: errors well above this hardly count (Cauchy weights).

    Returns:
        The pose, and the robust mean of squared errors, px^2: scale^2 mean(log(1 + (error / scale)^2)).
    """
    inverse = np.linalg.inv(_intrinsics(focal, shape))
    ones = np.ones((len(points), 1))
    start, end = np.hstack([points[:, :2], ones]), np.hstack([points[:, 2:], ones])

    def errors(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
        fundamental = inverse.T @ _cross_matrix(translation) @ rotation @ inverse
        line, line_back = start @ fundamental.T, end @ fundamental
        norm = np.sqrt((line[:, :2] ** 2).sum(1) + (line_back[:, :2] ** 2).sum(1))
        return np.asarray((end * line).sum(1) / np.maximum(norm, 1e-12))

    def cost(error: np.ndarray) -> float:
        return float(scale_px**2 * np.mean(np.log1p((error / scale_px) ** 2)))

    rotation, translation = pose.rotation, pose.translation
    error = errors(rotation, translation)
    damping = 1e-3
    for _ in range(REFINE_ITERATIONS):
        columns = [(errors(*_nudge(rotation, translation, NUDGE * axis)) - error) / NUDGE for axis in np.eye(5)]
        jacobian = np.stack(columns, axis=1)
        weighted = jacobian / (1 + (error / scale_px) ** 2)[:, None]
        normal = weighted.T @ jacobian
        step = -np.linalg.solve(normal + damping * np.diag(np.diag(normal)) + 1e-12 * np.eye(5), weighted.T @ error)
        moved = _nudge(rotation, translation, step)
        trial = errors(*moved)
        if cost(trial) < cost(error):
            (rotation, translation), error, damping = moved, trial, damping / 10
        else:
            damping *= 10
    return Pose(rotation, translation, pose.inliers), cost(error)


def _cross_matrix(vector: np.ndarray) -> np.ndarray:
    x, y, z = vector
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])


def _nudge(rotation: np.ndarray, translation: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn by step[:3] radians and tilt the direction by step[3:] radians."""
    import cv2

    turn, _ = cv2.Rodrigues(step[:3])
    # Two directions across the translation: the last rows of its full singular basis.
    across = np.linalg.svd(translation[None])[2][1:]
    tilted = translation + step[3] * across[0] + step[4] * across[1]
    return np.asarray(turn) @ rotation, tilted / np.linalg.norm(tilted)


def calibrate(
    pairs: list[np.ndarray], shape: tuple[int, int], *, focals_px: np.ndarray, threshold_px: float, seed: int
) -> np.ndarray:
    """How well a rigid scene explains some wide pairs, for each focal length.

    Poses are found by sampling at both ends and in the middle of the grid and refined from one focal length to the
    next, so that each curve is smooth (fits by sampling, one per focal length, scatter more than the curve bends);
    the lowest of the three counts. One start is not enough: with a focal length far off, the best pose may be the one
    that turns near into far, and a refinement does not leave it.

    Args:
        pairs: points of a few wide pairs, (N, 4) each; see `sample_points`.
        shape: (H, W).
        focals_px: (F,) candidates, increasing.
        threshold_px: of the fits; errors well above it hardly count.
        seed: of the fits.

    Returns:
        (P, F) float64, robust mean squared error of each pair that has a pose at all, px^2.
    """
    curves = []
    for points in pairs:
        lowest = np.full(len(focals_px), np.inf)
        for first in sorted({0, len(focals_px) // 2, len(focals_px) - 1}):
            found = relative_pose(points, float(focals_px[first]), shape, threshold_px=threshold_px, seed=seed)
            if found is None:
                continue
            for order in (range(first, len(focals_px)), range(first - 1, -1, -1)):
                pose = found[0]
                for place in order:
                    pose, cost = refine(pose, points, float(focals_px[place]), shape, scale_px=threshold_px)
                    lowest[place] = min(lowest[place], cost)
        if np.isfinite(lowest).all():
            curves.append(lowest)
    return np.array(curves).reshape(len(curves), len(focals_px))
