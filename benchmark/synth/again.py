"""The scene of a rendered clip, made again from its name: for what its truth does not have, as refracted rays."""

import json
import re
from pathlib import Path

import numpy as np

from openuni.benchmark.synth.families import FAMILIES, make_scene
from openuni.benchmark.synth.files import read_truth
from openuni.benchmark.synth.frozen import official_scene
from openuni.benchmark.synth.scene import Scene
from openuni.engine.stage import Absent

_OFFICIAL = re.compile(r"unibench-(\d{3})")
_DRAWN = re.compile(r"(\w+)-(\d+)-(\d{6})")
POSE_TOLERANCE = 1e-9  # both come from the same whole grid steps
UNKNOWN = "scene_is_not_known"


def scene_of(folder: Path) -> Scene:
    """Make a clip's scene again, and check that it is the one.

    Args:
        folder: of the clip, as `openuni unibench render` wrote it.

    Raises:
        Absent: the name tells no scene, or numpy or MuJoCo now draw another one than then.
        BadInput: the clip cannot be read.
    """
    truth = read_truth(folder)
    frames = truth.size[0]
    official, drawn = _OFFICIAL.fullmatch(folder.name), _DRAWN.fullmatch(folder.name)
    if official:
        scene = official_scene(int(official[1]), frames)
    elif drawn and drawn[1] in FAMILIES:
        scene = make_scene(drawn[1], seed=int(drawn[2]), number=int(drawn[3]), num_frames=frames)
    else:
        raise Absent(UNKNOWN)
    said = json.loads((folder / "clip.json").read_text("utf-8"))
    cameras = [scene.camera(frame, *truth.size[1:]) for frame in range(frames)]
    same = said.get("caption") == scene.caption and np.allclose(
        truth.poses, [camera.pose for camera in cameras], rtol=0, atol=POSE_TOLERANCE
    )
    if not same:
        raise Absent(UNKNOWN)
    return scene
