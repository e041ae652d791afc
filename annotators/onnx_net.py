"""A network in an ONNX file, on ONNX Runtime: pictures in, arrays out."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from openuni.errors import BadInput, first_line

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

PROVIDER = "CUDAExecutionProvider"


class OnnxNetwork:
    """A network with one input of pictures, (N, 3, H, W)."""

    def __init__(self, path: Path, device: "torch.device", *, outputs: tuple[str, ...] = ()) -> None:
        """Load it.

        Args:
            path: the file.
            device: cpu or cuda. ONNX Runtime's usual package has no CUDA: then a warning says so and the CPU computes.
            outputs: names that it must have.

        Raises:
            BadInput: the file is damaged or holds another network.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a worker has one core
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        if device.type == "cuda" and PROVIDER in onnxruntime.get_available_providers():
            providers = [PROVIDER, *providers]
        elif device.type == "cuda":
            logger.warning(
                "%s runs on the CPU: this onnxruntime has no CUDA. For a GPU: pip uninstall onnxruntime && "
                "pip install onnxruntime-gpu",
                path.name,
            )
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # onnxruntime has an error class for each kind of damage
            reason = first_line(error)[:200]
            raise BadInput(f"{path} cannot be read as ONNX ({reason}). Fetch it again: openuni weights") from error
        self.path = path
        self.names = [output.name for output in self.session.get_outputs()]
        inputs = self.session.get_inputs()
        shape = inputs[0].shape
        sides = shape[2:] if len(shape) == 4 else []
        missing = [name for name in outputs if name not in self.names]
        if len(inputs) != 1 or shape[1:2] != [3] or not all(isinstance(side, int) for side in sides) or missing:
            lacks = f", without {', '.join(missing)}" if missing else ""
            raise BadInput(
                f"{path} takes {[one.shape for one in inputs]} and gives {', '.join(self.names)}{lacks}; expected one "
                "input (N, 3, height, width) of fixed size. Fetch the file that openuni weights names."
            )
        self.height, self.width = (int(side) for side in sides)
        """Size of the pictures it takes, px."""
        self._one = isinstance(shape[0], int)
        self._input, self._dtype = inputs[0].name, np.float16 if "float16" in inputs[0].type else np.float32

    def __call__(self, pictures: np.ndarray) -> dict[str, np.ndarray]:
        """Run it.

        Args:
            pictures: (N, 3, H, W) float32, N >= 1, as the network was trained to get them.

        Returns:
            Output name -> array of N rows, float32 where they are half floats.

        Raises:
            torch.cuda.OutOfMemoryError: the GPU's memory does not hold N pictures.
        """
        pictures = np.ascontiguousarray(pictures, self._dtype)
        # Files exported for a batch of one take one at a time.
        parts = [pictures[n : n + 1] for n in range(len(pictures))] if self._one else [pictures]
        made = [self._run(part) for part in parts]
        joined = [np.concatenate([one[number] for one in made]) for number in range(len(self.names))]
        whole = [one.astype(np.float32) if one.dtype == np.float16 else one for one in joined]
        return dict(zip(self.names, whole, strict=True))

    def _run(self, pictures: np.ndarray) -> list[Any]:
        import torch

        try:
            return list(self.session.run(self.names, {self._input: pictures}))
        except Exception as error:
            if "allocate memory" in str(error):  # onnxruntime has no error class of its own for that
                raise torch.cuda.OutOfMemoryError(first_line(error)) from error
            raise
