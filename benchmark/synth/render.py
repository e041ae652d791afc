"""Render: a scene to a clip. Scene -> posed surfaces -> truth (the same for every tier) -> RGB by tier."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from openuni.benchmark.synth.geometry import Geometry, Hits, Posed
from openuni.benchmark.synth.scene import Camera, Scene
from openuni.benchmark.synth.truth import BEHIND_GLASS, FrameTruth, Truth, frame_truth, stack_truth
from openuni.config import configured
from openuni.errors import BadInput, UnknownName
from openuni.modality import Map
from openuni.table import TIERS, load

SIZE_MULTIPLE = 8  # the least that small models and video codecs both can use
HIDDEN_CONFIDENCE = 0.5  # ours: estimators give hidden joints of a person they see, less surely; drawn above 0.3
MIN_SIZE_PX, MAX_SIZE_PX = 16, 4096


class Tier(Protocol):
    """A way to draw RGB. Rows of TIERS in openuni/table.py; none may change truth."""

    name: str

    def setup(self) -> None:
        """Load what is needed once per worker. BadInput if it is not installed."""
        ...

    def about(self) -> dict[str, str]:
        """Return what a run should record of it once it is set up: variants, versions."""
        ...

    def draw(self, posed: Posed, camera: Camera, first: Hits) -> np.ndarray:
        """Draw one frame.

        Args:
            posed: the surfaces, with their scene's things, people, sky and materials.
            camera: the frame's camera.
            first: the first surfaces at pixel centres, row by row.

        Returns:
            (H, W, 3) uint8 RGB.
        """
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderedClip:
    """A clip with its truth: just rendered, or read from a rendered folder."""

    name: str
    family: str
    seed: int | None
    """None for imported clips."""
    caption: str
    fps: float
    tier: str
    """What drew RGB: a tier, or the importer's name; empty where nothing did."""
    rgb: np.ndarray
    """(T, H, W, 3) uint8."""
    truth: Truth
    facts: Mapping[str, Any]
    """The scene's facts: camera kind, what people do, names of things."""

    def maps(self) -> dict[str, Map]:
        """Return the truth as maps of the five modalities, by name."""
        return maps_of(self.truth)


def make_tier(name: str, settings: Mapping[str, str] | None = None) -> Tier:
    """Return the tier called `name`, not set up yet.

    Args:
        name: a key of TIERS.
        settings: its parameters as text, from `--set`.

    Raises:
        UnknownName: there is none, or it has no such parameter.
        BadInput: a parameter's value does not fit.
    """
    tier: Tier = configured(load("tier", TIERS, name), settings or {}, part=name)
    return tier


def check_size(height: int, width: int) -> None:
    """Raise BadInput unless a clip can have this size."""
    for side in (width, height):
        if side % SIZE_MULTIPLE or not MIN_SIZE_PX <= side <= MAX_SIZE_PX:
            below = side // SIZE_MULTIPLE * SIZE_MULTIPLE
            nearest = min(max(MIN_SIZE_PX, below), MAX_SIZE_PX)
            raise BadInput(
                f"Size {width}x{height}: sides must be multiples of {SIZE_MULTIPLE} from {MIN_SIZE_PX} to "
                f"{MAX_SIZE_PX} px, and {side} is not. Nearest below: {nearest}."
            )


def render_clip(
    scene: Scene, *, height: int, width: int, tier: Tier | None, behind_glass: str = "first_surface"
) -> RenderedClip:
    """Render a scene.

    Args:
        scene: what to render; all its frames.
        height: H in px.
        width: W in px.
        tier: what draws RGB, set up; None leaves RGB black, for truth alone.
        behind_glass: of BEHIND_GLASS.

    Raises:
        BadInput: the size does not fit.
        UnknownName: no such policy.
    """
    check_size(height, width)
    if behind_glass not in BEHIND_GLASS:
        raise UnknownName("policy behind glass", behind_glass, BEHIND_GLASS)
    geometry = Geometry(scene)
    rgb = np.zeros((scene.num_frames, height, width, 3), np.uint8)
    frames = []
    for number, (posed, camera, truth) in enumerate(frame_by_frame(geometry, height, width, behind_glass)):
        frames.append(truth.arrays)
        if tier is not None:
            rgb[number] = tier.draw(posed, camera, truth.first)
    return RenderedClip(
        name=scene.name, family=scene.family, seed=scene.seed, caption=scene.caption, fps=scene.fps,
        tier="" if tier is None else tier.name, rgb=rgb, facts=scene.facts,
        truth=stack_truth(scene, geometry, frames, behind_glass),
    )  # fmt: skip


def frame_by_frame(
    geometry: Geometry, height: int, width: int, behind_glass: str = "first_surface"
) -> Iterator[tuple[Posed, Camera, FrameTruth]]:
    """Yield each frame's surfaces, camera and truth. The next frame's surfaces are posed once and used twice."""
    scene = geometry.scene
    posed, camera = geometry.at(0), scene.camera(0, height, width)
    for frame in range(scene.num_frames):
        last = frame + 1 == scene.num_frames
        following = None if last else geometry.at(frame + 1)
        next_camera = None if last else scene.camera(frame + 1, height, width)
        truth = frame_truth(posed, camera, following, next_camera, see_through=behind_glass == "see_through")
        yield posed, camera, truth
        if following is not None and next_camera is not None:
            posed, camera = following, next_camera


def maps_of(truth: Truth) -> dict[str, Map]:
    """Turn truth into maps of those of the five modalities that it has, as openuni/modality.py has them."""
    maps = {}
    if truth.has("depth"):
        known = ~np.isnan(truth.depth)
        maps["depth"] = Map(data=truth.depth, valid=known, facts={"kind": "metric_depth"})
    if truth.has("flow"):
        hidden = {"occluded": truth.occluded} if truth.has("occluded") else {}
        maps["flow"] = Map(data=truth.flow, valid=truth.flow_valid, arrays=hidden)
    if truth.has("densepose"):
        maps["densepose"] = Map(data=truth.densepose, arrays={"uv": np.rint(255 * truth.uv).astype(np.uint8)})
    if truth.has("keypoints", "segmentation"):
        maps["skeleton"] = _skeleton(truth)
    if truth.has("segmentation"):
        maps["segmentation"] = Map(data=truth.segmentation)
    return maps


def _skeleton(truth: Truth) -> Map:
    height, width = truth.size[1:]
    people = [int(one) for one in truth.person_ids]
    keypoints = truth.keypoints.copy()
    seen = (keypoints[..., 2] > 1).any(axis=-1, keepdims=True)
    # Visibility as a confidence: 1 seen, HIDDEN_CONFIDENCE hidden; nobody who is hidden altogether.
    keypoints[..., 2] = np.where(seen, np.array([0, HIDDEN_CONFIDENCE, 1])[keypoints[..., 2].astype(int)], 0)
    boxes = np.stack([_boxes(truth.segmentation, one) for one in people], axis=1) if people else None
    arrays = {} if boxes is None else {"boxes": boxes, "track_ids": np.array(people, np.int64)}
    return Map(data=keypoints, arrays=arrays, facts={"height": height, "width": width})


def _boxes(segmentation: np.ndarray, one: int) -> np.ndarray:
    """(T, 4) float32 x0, y0, x1, y1 px about an instance; zeros where it is not seen."""
    out = np.zeros((len(segmentation), 4), np.float32)
    for frame, ids in enumerate(segmentation):
        rows, columns = np.nonzero(ids == one)
        if len(rows):
            out[frame] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return out
