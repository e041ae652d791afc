"""A tiny rendered folder for tests: a person and things, a few frames."""

from pathlib import Path

import numpy as np

from openuni.benchmark.synth.files import clip_names, read_truth
from openuni.benchmark.synth.job import RenderConfig, render_run
from openuni.benchmark.synth.truth import Truth
from openuni.engine.local import LocalEngine

SIDE_PX, FRAMES, CLIPS = 64, 6, 2


def render_tiny(out: Path) -> Path:
    """Render two clips, one of them with a person, in this process."""
    config = RenderConfig(
        out=out, clips=CLIPS, families=("one_person", "objects"), height=SIDE_PX, width=SIDE_PX, num_frames=FRAMES
    )
    render_run(config, LocalEngine(0), quiet=True)
    return out


def truths(root: Path) -> dict[str, Truth]:
    """Return the truth of every clip by its name."""
    return {name: read_truth(root / "clips" / name) for name in clip_names(root)}


def small_truth(frames: int = 4, height: int = 6, width: int = 8) -> Truth:
    """A truth made by hand: a person (id 2) before a wall, a thing (id 1), a pane of glass and sky."""
    shape = (frames, height, width)
    depth = np.full(shape, 10.0, np.float32)
    depth[:, 0] = np.inf
    segmentation = np.zeros(shape, np.uint8)
    segmentation[:, 1:5, 1:4], segmentation[:, 4:, 5:7] = 2, 1
    depth[segmentation == 2], depth[segmentation == 1] = 3.0, 5.0
    refractive = np.zeros(shape, bool)
    refractive[:, 2, 6:] = True
    densepose = np.where(segmentation == 2, np.arange(height)[None, :, None] + 1, 0).astype(np.uint8)
    keypoints = np.zeros((frames, 1, 17, 3), np.float32)
    keypoints[..., 0], keypoints[..., 1] = np.linspace(1, 3, 17), np.linspace(1, 4, 17)
    keypoints[..., 2] = 2
    flow = np.zeros((*shape, 2), np.float32)
    flow[..., 0] = 0.5
    flow_valid = np.ones(shape, bool)
    flow_valid[-1] = False
    flow[-1] = 0
    occluded = ~flow_valid
    occluded[:-1, :, -1] = True
    intrinsics = np.tile(np.array([[8.0, 0, 3.5], [0, 8, 2.5], [0, 0, 1]]), (frames, 1, 1))
    return Truth(
        depth=depth, flow=flow, flow_valid=flow_valid, occluded=occluded, segmentation=segmentation,
        keypoints=keypoints, densepose=densepose, uv=np.zeros((*shape, 2), np.float32), refractive=refractive,
        intrinsics=intrinsics, poses=np.tile(np.eye(4), (frames, 1, 1)), person_ids=np.array([2], np.uint8),
        behind_glass="first_surface", classes={1: "box", 2: "person"},
    )  # fmt: skip
