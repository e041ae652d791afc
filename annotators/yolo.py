"""Networks of ultralytics (AGPL-3.0), imported only where one is named: detection and pose from a .pt file."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from openuni import env
from openuni.annotators.detector import tidy
from openuni.annotators.device import Batches
from openuni.annotators.people_tracks import Detections
from openuni.annotators.weights import Found
from openuni.errors import BadInput, first_line

if TYPE_CHECKING:
    import torch

PERSON = "person"


@contextmanager
def others_untouched() -> Iterator[None]:
    """Undo what importing ultralytics does to other libraries: it puts functions of its own in the place of OpenCV's
    and Pillow's readers and of torch.save, for everything in the process.
    """
    import cv2
    import PIL.Image
    import torch

    own = [(cv2, name, getattr(cv2, name)) for name in ("imread", "imwrite", "imshow")]
    own += [(PIL.Image, "open", PIL.Image.open), (torch, "save", torch.save)]
    try:
        yield
    finally:
        for module, name, function in own:
            setattr(module, name, function)


class YoloNetwork:
    """A network of ultralytics: preparation, suppression and scaling back are the library's."""

    def __init__(self, found: Found, device: "torch.device", dtype: "torch.dtype", *, task: str) -> None:
        """Load it. Code in the file is refused: ULTRALYTICS_SAFE_LOAD, see openuni/env.py.

        Args:
            found: its file.
            device: where it computes.
            dtype: float16 computes in half precision.
            task: "detect" or "pose".

        Raises:
            BadInput: the file is damaged, does something else, or knows no person.
        """
        import torch

        env.prepare()  # before ultralytics reads its settings: it would look up hosts and write to the home folder
        with others_untouched():
            from ultralytics import YOLO
            from ultralytics.nn.tasks import torch_safe_load
            from ultralytics.utils import DEFAULT_CFG_DICT, LOGGER

        path = found.files[-1]
        level = LOGGER.level
        LOGGER.setLevel("ERROR")
        try:
            torch_safe_load(str(path), safe_only=True)  # whatever the environment says
            self.model: Any = YOLO(str(path))
            self.person = next(
                (int(number) for number, name in self.model.names.items() if str(name).lower() == PERSON), None
            )
        except Exception as error:  # whatever a damaged file makes the library raise
            reason = first_line(error)[:200]
            raise BadInput(f"{path} cannot be read as ultralytics weights ({reason}). Fetch it again.") from error
        finally:
            LOGGER.setLevel(level)
        if self.model.task != task:
            raise BadInput(
                f"{path} is a network for {self.model.task!r}, not {task!r}. Fetch what openuni weights names."
            )
        if self.person is None:
            raise BadInput(
                f"{path} detects {', '.join(map(str, list(self.model.names.values())[:5]))}, but no {PERSON!r}."
            )
        half = {"quantize": 16} if "quantize" in DEFAULT_CFG_DICT else {"half": True}  # renamed within 8.4
        self.device, self.precision = device, half if dtype == torch.float16 else {}

    def predict(self, rgb: np.ndarray, batches: Batches, min_score: float) -> list[Any]:
        """Return the library's result for each picture, people only.

        Args:
            rgb: (T, H, W, 3) uint8 RGB, T >= 1.
            batches: how many at a time.
            min_score: what a find must reach, 0..1.
        """
        import torch

        def some(frames: torch.Tensor) -> list[Any]:
            pictures = [np.ascontiguousarray(frame[..., ::-1]) for frame in frames.numpy()]  # the library takes BGR
            made: list[Any] = self.model.predict(
                pictures, conf=min_score, classes=[self.person], device=str(self.device), verbose=False, save=False,
                **self.precision,
            )  # fmt: skip
            return made

        parts = batches.run(some, torch.from_numpy(np.ascontiguousarray(rgb)))
        return [one for part in parts for one in part]


class YoloDetector(YoloNetwork):
    """A detector of ultralytics: YOLO11, YOLO26, ..."""

    def __init__(self, found: Found, device: "torch.device", dtype: "torch.dtype") -> None:
        """Load it. Raises as YoloNetwork."""
        super().__init__(found, device, dtype, task="detect")

    def detect(self, rgb: np.ndarray, batches: Batches, min_score: float) -> list[Detections]:
        """See Detector.detect."""
        size = rgb.shape[1], rgb.shape[2]
        found = self.predict(rgb, batches, min_score)
        return [tidy(one.boxes.xyxy.cpu(), one.boxes.conf.cpu(), size) for one in found]
