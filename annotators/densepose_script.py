"""DensePose without detectron2: its networks as TorchScript, in the two forms that are published.

TorchScript is a program: it is loaded only from the user's own folder, and its hash is part of the annotation's
fingerprint. The forms, told apart by the script's own signature:

- a picture (3, H, W) uint8 gives (boxes, coarse, fine, u, v), best person first (LayerNorm's files on the Hub);
- a picture (H, W, 3) uint8 with `bgr` gives a dict with "pred_boxes", "scores" and "pred_densepose_coarse_segm",
  "..._fine_segm", "..._u", "..._v" (dajes/DensePose-TorchScript).

Both want BGR, as detectron2 trains.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from openuni.annotators.expert import ExpertStage, terms
from openuni.annotators.iuv import BodyInBox, merge, nearest_last, read_box
from openuni.annotators.weights import Found
from openuni.engine.stage import Absent, Column, Result
from openuni.errors import BadInput, first_line
from openuni.modality import Map

ORDERS = ("score", "depth")
FIELDS = ("pred_boxes", *(f"pred_densepose_{name}" for name in ("coarse_segm", "fine_segm", "u", "v")))

COLUMNS = (
    Column("num_people", "people", "people found in a frame, mean over the frames"),
    Column("presence", "0..1", "share of frames with somebody"),
    Column("coverage", "0..1", "share of pixels with a body part"),
    Column("num_parts", "parts", "different parts in the clip, of 24"),
)


class _Found(NamedTuple):
    """What the network says of one frame, on the CPU, best person first."""

    scores: np.ndarray
    """(N,)."""
    bodies: list[BodyInBox]


@dataclass(kw_only=True)
class DensePoseScript(ExpertStage):
    """Body parts, U and V by DensePose R-101 FPN (DeepLab head).

    Result.map: data (T, H, W) uint8 part 0 to 24; arrays uv (T, H, W, 2) uint8.

    Raises:
        Absent: `nobody`, no one is found in the whole clip.
    """

    order: str = "score"
    """Who covers whom: "score", the surer; "depth", the nearer, by a depth expert's map."""
    min_score: float = 0.5
    """What a person must reach where the network tells a score, 0..1. Ours; detectron2's example has 0.8, which leaves
    out people who are partly hidden."""

    name: ClassVar[str] = "densepose"
    modality: ClassVar[str | None] = "densepose"
    expert: ClassVar[str] = "densepose-r101"
    licence: ClassVar[str] = terms("densepose-r101")
    columns: ClassVar[tuple[Column, ...]] = COLUMNS
    vram_gb: ClassVar[float] = 6.0

    def __post_init__(self) -> None:
        """Check the settings, then as ExpertStage."""
        if self.order not in ORDERS or not 0 <= self.min_score <= 1:
            raise BadInput(
                f"densepose.order must be {' or '.join(ORDERS)} and densepose.min_score 0 to 1, "
                f"got {self.order!r} and {self.min_score}."
            )
        if self.order == "depth":
            setattr(self, "reads", ("depth",))  # noqa: B010 - an instance's own value of a class variable
        super().__post_init__()

    def load(self, found: Found) -> None:
        """Load the script."""
        import torch
        import torchvision  # noqa: F401 - registers the operators that the script calls

        try:
            script: Any = torch.jit.load(str(found.files[0]), map_location=self.torch_device)
            arguments = [one.name for one in script.forward.schema.arguments[1:]]
        except (RuntimeError, ValueError, AttributeError) as error:
            reason = first_line(error)[:200]
            raise BadInput(f"{found.files[0]} cannot be read as TorchScript ({reason}). Fetch it again.") from error
        # Scripts exported in half precision run in float32 where there is no GPU.
        self.script = (script.float() if self.torch_device.type == "cpu" else script).eval()
        self.channels_last = "bgr" in arguments

    def __call__(self, clip: Any) -> Result:
        """Find the body parts of a clip."""
        rgb = clip.frames.rgb
        if rgb.ndim != 4 or rgb.shape[-1] != 3 or rgb.dtype != np.uint8:
            raise ValueError(f"frames must be (T, H, W, 3) uint8, got {rgb.shape} {rgb.dtype}")
        part, uv = np.zeros(rgb.shape[:3], np.uint8), np.zeros((*rgb.shape[:3], 2), np.uint8)
        counts = []
        for t, frame in enumerate(rgb):
            found = self.look(frame)
            counts.append(len(found.bodies))
            order = list(range(len(found.bodies)))[::-1]
            if self.order == "depth" and order:
                depth = clip.maps["depth"]
                nearer = depth.facts["kind"] != "metric_depth"
                order = nearest_last(found.bodies, depth.data[t], larger_is_nearer=nearer)
            part[t], uv[t] = merge(found.bodies, order, *frame.shape[:2])
        if not part.any():
            raise Absent("nobody")
        scores = {
            "num_people": float(np.mean(counts)),
            "presence": float(part.any(axis=(1, 2)).mean()),
            "coverage": float((part > 0).mean()),
            "num_parts": int(np.count_nonzero(np.bincount(part.ravel())[1:])),
        }
        return Result(scores=scores, map=Map(data=part, arrays={"uv": uv}))

    def look(self, frame: np.ndarray) -> _Found:
        """Run the network on one frame, (H, W, 3) uint8 RGB.

        Raises:
            BadInput: it gives something else than DensePose does.
        """
        import torch

        bgr = torch.from_numpy(np.ascontiguousarray(frame[..., ::-1])).to(self.torch_device)
        with torch.inference_mode():
            out = self.script(bgr) if self.channels_last else self.script(bgr.permute(2, 0, 1))
        if isinstance(out, Mapping) and set(FIELDS) <= set(out):
            boxes, *grids = (out[name] for name in FIELDS)
            scores = out.get("scores")
        elif isinstance(out, tuple) and len(out) == 5:
            (boxes, *grids), scores = out, None
        else:
            said = sorted(out) if isinstance(out, Mapping) else type(out).__name__
            raise BadInput(f"{self.found.files[0]} gives {said}, expected DensePose's boxes, parts, U and V.")
        boxes = boxes.float().cpu().numpy()
        sure = np.ones(len(boxes), np.float32) if scores is None else scores.float().cpu().numpy()
        chosen = [int(n) for n in np.argsort(-sure, kind="stable") if sure[n] >= self.min_score]
        return _Found(sure[chosen], [read_box(boxes[n], *(grid[n] for grid in grids)) for n in chosen])


@dataclass(kw_only=True)
class DensePoseScriptSmall(DensePoseScript):
    """Body parts, U and V by DensePose R-50 FPN (DeepLab head)."""

    expert: ClassVar[str] = "densepose-r50"
    licence: ClassVar[str] = terms("densepose-r50")
    vram_gb: ClassVar[float] = 4.0


@dataclass(kw_only=True)
class DensePoseDict(DensePoseScript):
    """Body parts, U and V by DensePose as dajes/DensePose-TorchScript exports it, with scores."""

    expert: ClassVar[str] = "densepose-export"
    licence: ClassVar[str] = terms("densepose-export")
