"""What every video codec is: frames in -1..1 to normalised latents on a coarser grid, and back."""

from typing import NamedTuple, Protocol

import torch

MAX_LEVEL = 1.05  # ours: room for what a sharpening resize overshoots; frames in 0..255 are far beyond


class Stride(NamedTuple):
    """How many frames, rows and columns of the clip one latent stands for."""

    t: int
    h: int
    w: int


class VideoCodec(Protocol):
    """A codec. Subclasses give the attributes, `encode` and `decode`; sizes and their checks stand here."""

    name: str
    """Its key in CODECS."""
    stride: Stride
    """Frames are t * n + 1 (the first frame is a latent of its own); height and width are multiples of h and w."""
    channels: int
    """C, channels of a latent."""
    mean: tuple[float, ...]
    """C means of the raw latents: a normalised latent is (raw - mean) / std."""
    std: tuple[float, ...]
    """C standard deviations of the raw latents."""
    batched: bool = False
    """Whether a batch of clips costs no more memory than its latents: a network's activations would."""

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the latents of clips.

        Args:
            frames: (B, 3, T, H, W) floating point, RGB in -1..1 (see openuni.model.codec.frames). T and the size on
                the codec's grid.

        Returns:
            (B, C, F, H / h, W / w) normalised latents with F = (T - 1) / t + 1, on the device of `frames`.

        Raises:
            ValueError: shape, dtype, size or range do not fit; the message names the nearest sizes that do.
        """
        ...

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the frames of clips.

        Args:
            latents: (B, C, F, h', w') floating point, normalised, as `encode` gives.

        Returns:
            (B, 3, t * (F - 1) + 1, h * h', w * w'), RGB in -1..1, on the device of `latents`.

        Raises:
            ValueError: shape or dtype do not fit.
        """
        ...

    def latent_shape(self, num_frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """Return (C, F, h', w') of a clip's latents.

        Raises:
            ValueError: the clip is not on the grid; the message names what was given and the nearest sizes allowed.
        """
        t, h, w = self.stride
        faults = [
            _fault("num_frames", num_frames, step=t, first=1),
            _fault("height", height, step=h, first=h),
            _fault("width", width, step=w, first=w),
        ]
        if any(faults):
            raise ValueError(f"codec {self.name}: " + "; ".join(fault for fault in faults if fault))
        return self.channels, (num_frames - 1) // t + 1, height // h, width // w

    def check_frames(self, frames: torch.Tensor) -> None:
        """Raise ValueError unless `frames` can be encoded."""
        if frames.ndim != 5 or frames.shape[1] != 3 or len(frames) == 0 or not frames.is_floating_point():
            raise ValueError(
                f"codec {self.name}: frames must be (B, 3, T, H, W) floating point in -1..1, "
                f"got {tuple(frames.shape)} {frames.dtype}: frames_to_tensor makes them from uint8 (T, H, W, 3)"
            )
        self.latent_shape(*frames.shape[2:])
        if not frames.abs().amax() <= MAX_LEVEL:  # so written that NaN is refused too
            raise ValueError(
                f"codec {self.name}: frames must be in -1..1, got {float(frames.amin()):.4g} to "
                f"{float(frames.amax()):.4g}: frames_to_tensor scales uint8 frames"
            )

    def check_latents(self, latents: torch.Tensor) -> None:
        """Raise ValueError unless `latents` can be decoded."""
        shape = tuple(latents.shape)
        if len(shape) != 5 or shape[1] != self.channels or 0 in shape or not latents.is_floating_point():
            raise ValueError(
                f"codec {self.name}: latents must be (B, {self.channels}, F, h, w) floating point, "
                f"got {shape} {latents.dtype}"
            )


def _fault(what: str, given: int, *, step: int, first: int) -> str:
    """Say which sizes first, first + step, ... are nearest to one that is not among them; nothing if it is."""
    if given >= first and (given - first) % step == 0:
        return ""
    below = first + (given - first) // step * step
    nearest = f"use {first}" if given < first else f"use {below} or {below + step}"
    form = "at least 1" if step == 1 else f"a multiple of {step}" if first == step else f"{step}n+1"
    return f"{what} must be {form}, got {given}: {nearest}"
