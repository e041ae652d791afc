"""SAM 2 (Ravi et al., arXiv 2408.00714) follows masks through a clip: transformers' Sam2VideoModel."""

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from openuni.annotators.device import OutOfMemory
from openuni.annotators.expert import load_pretrained, load_processor
from openuni.annotators.weights import Found

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)


class Sam2:
    """The network and its processor, loaded once per worker."""

    def __init__(self, found: Found, device: "torch.device", dtype: "torch.dtype") -> None:
        """Load them.

        Raises:
            BadInput: the folder is damaged or holds another network.
        """
        import torch
        import transformers

        # Its memory is bfloat16 in any case; float16, which the authors do not use, would overflow in the encoder.
        self.device, self.dtype = device, torch.bfloat16 if dtype == torch.float16 else dtype
        model = load_pretrained(transformers.Sam2VideoModel, found, model_type="sam2_video")
        self.model: Any = model.to(self.device, self.dtype)
        self.processor: Any = load_processor(found, "Sam2VideoProcessor")
        self.offload = False
        """Keep the clip and the memory on the CPU, because the GPU did not hold them."""

    def open(self, rgb: np.ndarray, *, cache: int) -> "Sam2Clip":
        """Prepare a clip's frames.

        Args:
            rgb: (T, H, W, 3) uint8 RGB.
            cache: of how many frames the features are kept: a group that goes back needs them again.
        """
        return Sam2Clip(self, rgb, cache)

    def shrinking(self, call: Any) -> Any:
        """Call with this GPU's memory; once more with clip and memory on the CPU if that is full.

        Raises:
            OutOfMemory: it is not enough then either.
        """
        import torch

        try:
            return call()
        except torch.cuda.OutOfMemoryError as error:
            if self.offload:
                raise OutOfMemory(
                    "CUDA out of memory while SAM 2 follows masks, with the clip kept on the CPU. Use a smaller "
                    "checkpoint (sam2.1-hiera-tiny) or fewer max_objects."
                ) from error
            self.offload = True
            logger.warning("CUDA out of memory while SAM 2 follows masks; going on with the clip kept on the CPU")
        torch.cuda.empty_cache()
        return self.shrinking(call)


class Sam2Clip:
    """One clip: a mask_tracks.Follower."""

    def __init__(self, sam2: Sam2, rgb: np.ndarray, cache: int) -> None:
        self.sam2, self.size = sam2, (int(rgb.shape[1]), int(rgb.shape[2]))
        keep = "cpu" if sam2.offload else sam2.device
        self.options: dict[str, Any] = {
            "inference_device": sam2.device,
            "inference_state_device": keep,
            "video_storage_device": keep,
            "max_vision_features_cache_size": cache,
            "dtype": sam2.dtype,
        }
        video = [np.ascontiguousarray(frame) for frame in rgb]
        self.session = sam2.processor.init_video_session(video=video, **self.options)

    def fresh(self) -> Any:
        """A session of its own that shares the prepared frames and their features."""
        session = self.sam2.processor.init_video_session(**self.options)
        session.processed_frames, session.cache = self.session.processed_frames, self.session.cache
        session.video_height, session.video_width = self.size
        return session

    def start(self, frame: int, masks: list[np.ndarray]) -> "Sam2Group":
        """Take up masks on a frame. Groups have sessions of their own, as one session would harden all memories."""
        session = self.fresh()
        self.sam2.processor.add_inputs_to_inference_session(
            session, frame_idx=frame, obj_ids=list(range(1, len(masks) + 1)), input_masks=list(masks)
        )
        return Sam2Group(self.sam2.model, session)

    def masks_in(self, frame: int, boxes: np.ndarray) -> np.ndarray:
        """Segment what is in boxes of a frame.

        Args:
            frame: its number.
            boxes: (N, 4) x0, y0, x1, y1 px, N >= 1.

        Returns:
            (N, H, W) bool.
        """
        session = self.fresh()
        self.sam2.processor.add_inputs_to_inference_session(
            session, frame_idx=frame, obj_ids=list(range(1, len(boxes) + 1)), input_boxes=[boxes.tolist()]
        )
        return self.enlarge(Sam2Group(self.sam2.model, session).step(frame)) > 0

    def enlarge(self, logits: np.ndarray) -> np.ndarray:
        """Bring logits (N, h, w) to the frames' size by the processor's own post_process_masks."""
        import torch

        masks = torch.from_numpy(logits)[:, None]
        (made,) = self.sam2.processor.post_process_masks([masks], original_sizes=[self.size], binarize=False)
        return np.asarray(made[:, 0].numpy())


class Sam2Group:
    """Masks of one session: a mask_tracks.Group."""

    def __init__(self, model: Any, session: Any) -> None:
        self.model, self.session = model, session

    def step(self, frame: int, *, back: bool = False) -> np.ndarray:
        """Follow to a frame: (N, h, w) float32 logits; far below 0 where the network sees the thing nowhere."""
        import torch

        with torch.inference_mode():
            said = self.model(self.session, frame_idx=frame, reverse=back)
        return np.asarray(said.pred_masks[:, 0].float().cpu().numpy())
