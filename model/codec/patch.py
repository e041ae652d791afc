"""Patch codec: lossless space-to-depth. No weights; for tests and for tiny models on small frames."""

import torch

from openuni.errors import BadInput
from openuni.model.codec.protocol import Stride, VideoCodec


class PatchCodec(VideoCodec):
    """Turns each s x s square of a frame into 3 * s * s channels. Every value is kept, in its dtype, with gradients.

    The temporal stride is 1: each frame is a latent frame, and any number of frames is allowed. Channel
    c * s * s + y * s + x holds colour c of the pixel in row y and column x of the square, the order of
    torch.nn.functional.pixel_unshuffle.
    """

    name = "patch"
    batched = True

    def __init__(self, size: int = 4) -> None:
        """Choose the square.

        Args:
            size: s, its side in pixels; 1 leaves the frames as they are.

        Raises:
            BadInput: `size` is below 1.
        """
        if size < 1:
            raise BadInput(f"codec patch: size must be 1 or more pixels, got {size}")
        self.size = size
        self.stride = Stride(1, size, size)
        self.channels = 3 * size * size
        self.mean = (0.0,) * self.channels  # pixels are in -1..1 already
        self.std = (1.0,) * self.channels

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        """See VideoCodec.encode."""
        self.check_frames(frames)
        s = self.size
        batch, _, length, height, width = frames.shape
        squares = frames.reshape(batch, 3, length, height // s, s, width // s, s)
        return squares.permute(0, 1, 4, 6, 2, 3, 5).reshape(batch, self.channels, length, height // s, width // s)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """See VideoCodec.decode. Not clipped to -1..1."""
        self.check_latents(latents)
        s = self.size
        batch, _, length, height, width = latents.shape
        squares = latents.reshape(batch, 3, s, s, length, height, width)
        return squares.permute(0, 1, 4, 5, 2, 6, 3).reshape(batch, 3, length, height * s, width * s)
