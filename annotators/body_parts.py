"""Body parts by Sapiens2 (transformers), told in DensePose's parts as far as its own labels allow.

Sapiens has labels of its own: limbs by side, face, hair, clothes (facebookresearch/sapiens, docs/SEG_README.md). They
are no DensePose: front and back are not told (all limbs and the torso count as front), there is no U and V, and clothes
hide what is under them. Upper clothes count as torso; lower clothes as the upper leg of the nearer side. The sample's
facts say so: "label_space".
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from openuni.annotators.densepose_script import COLUMNS
from openuni.annotators.expert import ExpertStage, load_pretrained, load_processor, terms
from openuni.annotators.weights import Found
from openuni.engine.stage import Absent, Column, Result
from openuni.errors import BadInput
from openuni.modality import Map

LABEL_SPACE = "sapiens body parts as densepose parts: front only, clothes as what they cover, no u and v"

# DensePose: 1 torso back, 2 torso front, 3 right hand, 4 left hand, 5 left foot, 6 right foot, 7 to 10 upper legs
# (right back, left back, right front, left front), 11 to 14 lower legs alike, 15 to 18 upper arms (left inside, right
# inside, left outside, right outside), 19 to 22 lower arms alike, 23 head right, 24 head left.
RIGHT_UPPER_LEG, LEFT_UPPER_LEG, RIGHT_HEAD, LEFT_HEAD = 9, 10, 23, 24
PARTS = {
    "torso": 2, "upper clothing": 2, "apparel": 2,
    "right hand": 3, "left hand": 4,
    "left foot": 5, "left shoe": 5, "left sock": 5, "right foot": 6, "right shoe": 6, "right sock": 6,
    "right upper leg": RIGHT_UPPER_LEG, "left upper leg": LEFT_UPPER_LEG,
    "right lower leg": 13, "left lower leg": 14,
    "left upper arm": 17, "right upper arm": 18, "left lower arm": 21, "right lower arm": 22,
}  # fmt: skip
"""Label -> part, for labels that are one part."""
HEAD = ("face neck", "hair", "lower lip", "upper lip", "lower teeth", "upper teeth", "tongue", "eyeglass")
"""Labels of the head, which DensePose splits into the person's right and left."""
EITHER_LEG = "lower clothing"


@dataclass(kw_only=True)
class SapiensParts(ExpertStage):
    """Body parts of every frame by Sapiens2, in DensePose's numbers; see the top of the file.

    Result.map: data (T, H, W) uint8; facts["label_space"].

    Raises:
        Absent: `nobody`.
    """

    batch_size: int = 2
    """Pictures at a time: 1024 x 768 px each."""

    name: ClassVar[str] = "densepose"
    modality: ClassVar[str | None] = "densepose"
    expert: ClassVar[str] = "sapiens2-parts"
    licence: ClassVar[str] = terms("sapiens2-parts")
    columns: ClassVar[tuple[Column, ...]] = COLUMNS[1:]

    def load(self, found: Found) -> None:
        """Load network and processor; its config.json says what its labels mean."""
        import transformers

        model: Any = load_pretrained(transformers.Sapiens2ForSemanticSegmentation, found, model_type="sapiens2")
        self.model = model.to(self.torch_device, self.dtype)
        self.processor = load_processor(found)
        self.labels = {int(n): plain_label(name) for n, name in self.model.config.id2label.items()}
        if not set(self.labels.values()) & set(PARTS):
            raise BadInput(
                f"config.json in {found.folder} names no body parts (id2label): {list(self.labels.values())[:4]}."
            )

    def __call__(self, clip: Any) -> Result:
        """Find the body parts of a clip."""
        rgb = clip.frames.rgb
        if rgb.ndim != 4 or rgb.shape[-1] != 3 or rgb.dtype != np.uint8:
            raise ValueError(f"frames must be (T, H, W, 3) uint8, got {rgb.shape} {rgb.dtype}")
        part = np.stack([as_densepose(frame, self.labels) for frame in self.predict(rgb)])
        if not part.any():
            raise Absent("nobody")
        scores = {
            "presence": float(part.any(axis=(1, 2)).mean()),
            "coverage": float((part > 0).mean()),
            "num_parts": int(np.count_nonzero(np.bincount(part.ravel())[1:])),
        }
        return Result(scores=scores, map=Map(data=part, facts={"label_space": LABEL_SPACE}))

    def predict(self, rgb: np.ndarray) -> list[np.ndarray]:
        """Return the network's own labels of each frame, (H, W) int64, as the library's processor gives them."""
        import torch

        size = tuple(rgb.shape[1:3])

        def some(frames: torch.Tensor) -> list[Any]:
            inputs = self.processor(images=list(frames), return_tensors="pt", device=self.torch_device)
            with torch.inference_mode():
                outputs = self.model(inputs["pixel_values"].to(self.torch_device, self.dtype))
            outputs.logits = outputs.logits.float()
            return list(self.processor.post_process_semantic_segmentation(outputs, target_sizes=[size] * len(frames)))

        frames = torch.from_numpy(np.ascontiguousarray(rgb)).permute(0, 3, 1, 2)
        return [one.cpu().numpy() for part in self.batches.run(some, frames) for one in part]


def plain_label(name: str) -> str:
    """Return a label in lower case with spaces: Left_Upper_Arm and "Left Upper Arm" are the same."""
    return " ".join(str(name).lower().replace("_", " ").split())


def as_densepose(labels: np.ndarray, names: dict[int, str]) -> np.ndarray:
    """Turn a frame's labels into DensePose's parts.

    Args:
        labels: (H, W) int64.
        names: what they mean; what is not known here is background.

    Returns:
        (H, W) uint8.
    """
    table = np.zeros(max(names) + 1, np.uint8)
    for number, name in names.items():
        table[number] = PARTS.get(name, 0)
    part = np.asarray(table[labels])
    right, left = _sides(labels, names)
    for mine, (on_right, on_left) in (
        (_is(labels, names, HEAD), (RIGHT_HEAD, LEFT_HEAD)),
        (_is(labels, names, (EITHER_LEG,)), (RIGHT_UPPER_LEG, LEFT_UPPER_LEG)),
    ):
        part[mine] = np.where(right[mine] <= left[mine], on_right, on_left)
    return part


def _is(labels: np.ndarray, names: dict[int, str], wanted: tuple[str, ...]) -> np.ndarray:
    return np.isin(labels, [number for number, name in names.items() if name in wanted])


def _sides(labels: np.ndarray, names: dict[int, str]) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each pixel from the nearest one that is labelled right, and left; equal where neither is there."""
    import cv2

    distances = []
    for side in ("right ", "left "):
        mine = _is(labels, names, tuple(name for name in names.values() if name.startswith(side)))
        if mine.any():
            distances.append(cv2.distanceTransform((~mine).astype(np.uint8), cv2.DIST_L2, 3))
        else:
            distances.append(np.full(labels.shape, np.float32(max(labels.shape))))
    return distances[0], distances[1]
