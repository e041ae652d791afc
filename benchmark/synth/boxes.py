"""Generated clips with exact depth, flow, occlusion and instance ids: a textured room with boxes and spheres.

Pure ray casting on the CPU, no simulator and no OpenGL, so that tests, `openuni demo` and the accuracy figures of
annotators need nothing but this file. Truth comes from one ray through each pixel centre; colour is the mean of 2 x 2
rays. World and camera axes are OpenCV's: x right, y down, z forward; pixel (0, 0) is a centre, the principal point is
((W - 1) / 2, (H - 1) / 2). Scenes and speeds follow the ones that the prototypes were measured on (a camera about 6 m
from a furnished corner, 4 cm a frame), so that figures can be compared.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

CAMERAS = ("dolly", "orbit", "walk", "pan", "static", "zoom")
FPS = 16.0  # the rate that a build keeps by default
FOCAL_PER_HEIGHT = 1.07  # 50 degrees of vertical view, as in the prototype's scenes
FLOOR_Y, BACK_Z, LEFT_X = 1.5, 9.0, -3.5  # metres; the three planes of the room
TARGET = np.array([0.0, 0.6, 6.0])  # what an orbiting camera looks at
STEP_M = 0.04  # camera path per frame, dolly and orbit: 2 to 4 px a frame at 480 px height
PAN_RAD, ZOOM_FACTOR = 0.006, 1.006  # per frame: about as many px a frame as the dolly's
TEXTURE_PX, TEXTURE_M = 512, 3.0  # one tile
AMBIENT, LIGHT = 0.65, np.array([-0.4, -0.8, -0.45])  # shading 0.65 to 1: faces differ, nothing is black
VISIBLE_TOLERANCE = 1e-6  # relative depth; two float64 casts of one surface point differ by rounding only


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One generated clip and its truth. T frames of H x W pixels."""

    rgb: np.ndarray
    """(T, H, W, 3) uint8."""
    depth: np.ndarray
    """(T, H, W) float32, z along the optical axis in metres."""
    flow: np.ndarray
    """(T, H, W, 2) float32 px per frame (dx, dy), of the surface point, seen again or not; last frame zeros."""
    flow_valid: np.ndarray
    """(T, H, W) bool; all True but the last frame."""
    occluded: np.ndarray
    """(T, H, W) bool, the point is hidden or outside the picture in the next frame; last frame all True."""
    ids: np.ndarray
    """(T, H, W) uint16 instance id; 0 is the room."""
    mover_ids: tuple[int, ...]
    """Instance ids that move by themselves."""
    focal_px: np.ndarray
    """(T,) float64; constant but for a zoom."""
    rotation: np.ndarray
    """(T, 3, 3) float64, world to camera: x_camera = rotation @ (x_world - position)."""
    position: np.ndarray
    """(T, 3) float64, the camera's centre in the world, metres."""
    fps: float = FPS

    @property
    def static(self) -> np.ndarray:
        """(T, H, W) bool, True where nothing moves by itself."""
        return ~np.isin(self.ids, self.mover_ids)


@dataclass(frozen=True)
class _Body:
    """A box or sphere; `path` is the amplitude of its swing in metres (zeros: it rests)."""

    kind: str
    centre: np.ndarray
    half: np.ndarray
    yaw: float
    path: np.ndarray
    phase: float

    def pose(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Rotation (body to world) and centre at a frame."""
        moves = bool(self.path.any())
        angle = self.yaw + (0.03 * frame if moves else 0.0)
        cos, sin = np.cos(angle), np.sin(angle)
        swing = np.sin(np.array([0.08, 0.07, 0.06]) * frame + self.phase)
        return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]), self.centre + self.path * swing


@dataclass(frozen=True)
class _Camera:
    focal: float
    rotation: np.ndarray
    position: np.ndarray


def scene(
    seed: int,
    *,
    num_frames: int,
    height: int,
    width: int,
    camera: str = "dolly",
    num_movers: int = 2,
    num_boxes: int = 6,
) -> Scene:
    """Make one clip.

    Args:
        seed: decides textures, objects and their paths; the same seed gives the same clip.
        num_frames: T, at least 1.
        height: H in px.
        width: W in px.
        camera: "dolly" (sideways, a little forward, level), "walk" (sideways, forward and up, looking at the middle:
            the prototype's path), "orbit" (on a circle, looking at its middle: there the focal length cannot be told
            from the pictures), "pan" (turns on the spot), "static", "zoom" (only the focal length grows).
        num_movers: objects that move by themselves.
        num_boxes: objects at rest, boxes and spheres in turn.

    Raises:
        ValueError: unknown camera, or a size below 1.
    """
    if camera not in CAMERAS:
        raise ValueError(f"camera must be one of {', '.join(CAMERAS)}, got {camera!r}")
    if min(num_frames, height, width) < 1:
        raise ValueError(f"num_frames, height and width must be >= 1, got {num_frames}, {height}, {width}")
    rng = np.random.default_rng(seed)
    cameras = [_camera(camera, frame, height) for frame in range(num_frames)]
    bodies = _bodies(rng, num_boxes, num_movers)
    textures = [_texture(rng, cameras[0].focal) for _ in range(3 + len(bodies))]
    views = [_view(frame, cameras, bodies, textures, height, width) for frame in range(num_frames)]
    maps: dict[str, Any] = {name: np.stack([view[name] for view in views]) for name in views[0]}
    return Scene(
        **maps,
        mover_ids=tuple(range(num_boxes + 1, num_boxes + num_movers + 1)),
        focal_px=np.array([c.focal for c in cameras]),
        rotation=np.stack([c.rotation for c in cameras]),
        position=np.stack([c.position for c in cameras]),
    )


def _camera(kind: str, frame: int, height: int) -> _Camera:
    focal, position, rotation = FOCAL_PER_HEIGHT * height, np.zeros(3), np.eye(3)
    if kind == "dolly":
        position = np.array([STEP_M * frame - 0.5, 0.1 * STEP_M * frame, 0.35 * STEP_M * frame])
    elif kind == "walk":
        position = np.array([STEP_M * frame - 0.5, -0.01 * np.sin(0.2 * frame) * frame, 0.5 * STEP_M * frame])
        rotation = _look_at(TARGET - position)
    elif kind == "orbit":
        angle = STEP_M * frame / TARGET[2] - 0.1
        position = TARGET[2] * np.array([np.sin(angle), 0.0, 1.0 - np.cos(angle)])
        rotation = _look_at(TARGET - position)
    elif kind == "pan":
        rotation = _look_at(np.array([np.sin(PAN_RAD * frame), 0.05, np.cos(PAN_RAD * frame)]))
    elif kind == "zoom":
        focal *= ZOOM_FACTOR**frame
    return _Camera(focal, rotation, position)


def _look_at(forward: np.ndarray) -> np.ndarray:
    """World-to-camera rotation of an upright camera looking along `forward`."""
    z = forward / np.linalg.norm(forward)
    x = np.cross([0.0, 1.0, 0.0], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


def _bodies(rng: np.random.Generator, num_boxes: int, num_movers: int) -> list[_Body]:
    bodies = []
    for number in range(num_boxes + num_movers):
        moves = number >= num_boxes
        kind = "sphere" if number % 2 else "box"
        half = rng.uniform(0.25, 0.45) * np.ones(3) if moves else rng.uniform(0.3, 0.8, 3)
        if kind == "sphere":
            half = np.full(3, half[0])
        centre = np.array([rng.uniform(-2.4, 2.4), 0.0, rng.uniform(4.0, 7.5)])
        if moves:
            centre = np.array([rng.uniform(-1.2, 1.2), rng.uniform(-0.2, 0.8), rng.uniform(3.6, 5.0)])
        else:
            centre[1] = FLOOR_Y - half[1]
        path = np.array([0.9, 0.25, 0.4]) if moves else np.zeros(3)
        bodies.append(_Body(kind, centre, half, rng.uniform(0, np.pi / 2), path, rng.uniform(0, 2 * np.pi)))
    return bodies


def _texture(rng: np.random.Generator, focal: float) -> np.ndarray:
    """(TEXTURE_PX, TEXTURE_PX, 3) float32 in 0..255: a base colour, 1/f noise and a faint checker; tiles seamlessly.

    Wavelengths below 2.5 px at 6 m are left out, so that sampling does not alias.
    """
    shortest = 2.5 * TARGET[2] / focal * TEXTURE_PX / TEXTURE_M  # texels
    across, down = np.fft.rfftfreq(TEXTURE_PX), np.fft.fftfreq(TEXTURE_PX)
    frequency = np.hypot(across[None], down[:, None])
    gain = np.where(frequency > 0, np.exp(-((frequency * shortest) ** 2)) / np.maximum(frequency, 4 / TEXTURE_PX), 0)
    grey = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((TEXTURE_PX, TEXTURE_PX))) * gain)
    grey /= grey.std()
    tint = np.stack([np.roll(grey, shift * TEXTURE_PX // 4, axis=(0, 1)) for shift in (1, 2, 3)], -1)
    rows, columns = np.indices((TEXTURE_PX, TEXTURE_PX)) // (TEXTURE_PX // 8)
    checker = 10.0 * ((rows + columns) % 2 * 2 - 1)
    colour = rng.uniform(90, 170, 3) + (32 * grey + checker)[..., None] + 10 * tint
    return np.clip(colour, 0, 255).astype(np.float32)


def _view(
    frame: int, cameras: list[_Camera], bodies: list[_Body], textures: list[np.ndarray], height: int, width: int
) -> dict[str, np.ndarray]:
    """Everything about one frame, by the names of Scene's fields."""
    camera, shape = cameras[frame], (height, width)
    pixels = np.stack(np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float)), -1).reshape(-1, 2)
    poses = [body.pose(frame) for body in bodies]
    directions = _directions(camera, pixels, shape)
    depth, ids = _cast(camera.position, directions, bodies, poses)
    out = {
        "rgb": _colour(camera, pixels, bodies, poses, textures, shape),
        "depth": depth.reshape(shape).astype(np.float32),
        "ids": np.maximum(ids, 0).reshape(shape).astype(np.uint16),
        "flow": np.zeros((*shape, 2), np.float32),
        "flow_valid": np.full(shape, frame + 1 < len(cameras)),
        "occluded": np.ones(shape, bool),
    }
    if frame + 1 < len(cameras):
        following = cameras[frame + 1]
        after = [body.pose(frame + 1) for body in bodies]
        points = _carry(camera.position + depth[:, None] * directions, ids, poses, after)
        landed, z = _project(following, points, shape)
        seen_depth, _ = _cast(following.position, _directions(following, landed, shape), bodies, after)
        inside = (landed >= 0).all(-1) & (landed <= [width - 1, height - 1]).all(-1)
        out["flow"] = (landed - pixels).reshape(*shape, 2).astype(np.float32)
        out["occluded"] = ~(inside & (z <= seen_depth * (1 + VISIBLE_TOLERANCE))).reshape(shape)
    return out


def _directions(camera: _Camera, pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(N, 3) world directions whose camera z is 1, so that the ray parameter is planar depth."""
    middle = np.array([shape[1] - 1, shape[0] - 1]) / 2
    rays = np.concatenate([(pixels - middle) / camera.focal, np.ones((len(pixels), 1))], axis=1)
    return rays @ camera.rotation  # row vectors times world-to-camera: its transpose applied to each


def _project(camera: _Camera, points: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """World points (N, 3) to pixels (N, 2) and depths (N,)."""
    local = (points - camera.position) @ camera.rotation.T
    middle = np.array([shape[1] - 1, shape[0] - 1]) / 2
    return camera.focal * local[:, :2] / local[:, 2:] + middle, local[:, 2]


def _carry(points: np.ndarray, ids: np.ndarray, before: list, after: list) -> np.ndarray:
    """Move the surface points of each body from one frame's pose to the next one's."""
    points = points.copy()
    for number, ((turn, centre), (turn_after, centre_after)) in enumerate(zip(before, after, strict=True), start=1):
        mine = ids == number
        points[mine] = (points[mine] - centre) @ turn @ turn_after.T + centre_after
    return points


def _cast(
    origin: np.ndarray, directions: np.ndarray, bodies: list[_Body], poses: list
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest hit of each ray: depth (N,) and surface (N,): 0, -1, -2 the room's planes, 1.. the bodies."""
    with np.errstate(divide="ignore", invalid="ignore"):
        planes = np.stack(
            [(level - origin[axis]) / directions[:, axis] for level, axis in ((FLOOR_Y, 1), (BACK_Z, 2), (LEFT_X, 0))]
        )
    planes[~(planes > 0)] = np.inf
    surface = -planes.argmin(axis=0)
    depth = planes.min(axis=0)
    for number, (body, (turn, centre)) in enumerate(zip(bodies, poses, strict=True), start=1):
        start = (origin - centre) @ turn
        radius = body.half[0] if body.kind == "sphere" else np.linalg.norm(body.half)
        # Roots of |start + s d|^2 = radius^2; the ball around a box spares most rays the box test.
        a, b = np.einsum("ij,ij->i", directions, directions), directions @ (origin - centre)
        root = b * b - a * (start @ start - radius * radius)
        near = np.flatnonzero(root > 0)
        if body.kind == "sphere":
            hit = (-b[near] - np.sqrt(root[near])) / a[near]
        else:
            hit = _box_hit(start, directions[near] @ turn, body.half)
        closer = (hit > 0) & (hit < depth[near])
        depth[near[closer]], surface[near[closer]] = hit[closer], number
    return depth, surface


def _box_hit(start: np.ndarray, directions: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Slab test in the box's own axes: ray parameter of the entry, inf where missed."""
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (-half - start) / directions, (half - start) / directions
    entry, leave = np.minimum(first, second).max(axis=1), np.maximum(first, second).min(axis=1)
    return np.where(entry < leave, entry, np.inf)


def _colour(
    camera: _Camera, pixels: np.ndarray, bodies: list[_Body], poses: list, textures: list, shape: tuple[int, int]
) -> np.ndarray:
    """(H, W, 3) uint8, the mean of 2 x 2 rays per pixel."""
    total = np.zeros((len(pixels), 3), np.float32)
    for offset in ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)):
        directions = _directions(camera, pixels + offset, shape)
        depth, surface = _cast(camera.position, directions, bodies, poses)
        points = camera.position + depth[:, None] * directions
        for number in range(-2, len(bodies) + 1):
            mine = np.flatnonzero(surface == number)
            if len(mine):
                total[mine] += _shade(points[mine], number, bodies, poses, textures[number + 2])
    return np.rint(total / 4).astype(np.uint8).reshape(*shape, 3)


def _shade(points: np.ndarray, number: int, bodies: list[_Body], poses: list, texture: np.ndarray) -> np.ndarray:
    """Texture times light, (N, 3) float32, for points on one surface."""
    import cv2

    if number <= 0:
        axis = np.full(len(points), (1, 2, 0)[-number])
        local, normal = points, np.eye(3)[(1, 2, 0)[-number]] * (-1 if number > -2 else 1)
    else:
        turn, centre = poses[number - 1]
        local = (points - centre) @ turn
        ratio = local / bodies[number - 1].half
        axis = np.abs(ratio).argmax(axis=1)
        if bodies[number - 1].kind == "box":
            ratio = np.where(np.arange(3) == axis[:, None], np.sign(ratio), 0.0)
        normal = ratio @ turn.T
    # Each face is textured by its two other coordinates.
    place = np.take_along_axis(local, np.stack([(axis + 1) % 3, (axis + 2) % 3], 1), 1) * (TEXTURE_PX / TEXTURE_M)
    place = np.mod(place, TEXTURE_PX).astype(np.float32)
    looked = np.empty((len(points), 3), np.float32)
    for start in range(0, len(points), 32_000):  # cv2.remap takes pictures of less than 32768 rows
        x, y = (np.ascontiguousarray(place[start : start + 32_000, [side]]) for side in (0, 1))
        looked[start : start + 32_000] = cv2.remap(texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)[:, 0]
    light = AMBIENT + (1 - AMBIENT) * np.clip(normal @ (LIGHT / np.linalg.norm(LIGHT)), 0, 1)
    return looked * np.broadcast_to(light, len(points))[:, None].astype(np.float32)
