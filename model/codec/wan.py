"""Wan's video VAEs (2.1: stride 4 x 8 x 8, 16 channels; 2.2: 4 x 16 x 16, 48) by AutoencoderKLWan of diffusers.

Latents are the posterior's mode, normalised by the config's latents_mean and latents_std as diffusers' Wan pipelines do
(WanImageToVideoPipeline.prepare_latents encodes, WanPipeline.__call__ decodes).

Long clips: AutoencoderKLWan encodes 1 + 4 + 4 + ... frames and decodes one latent frame at a time, each causal
convolution carrying its last two inputs, so windows in time give the same numbers as the whole clip. What would
still grow with the clip is the clip itself, and that stays where the caller has it: only the window goes to the codec's
device, and only decoded windows come back.
"""

from pathlib import Path
from typing import Any

import torch

from openuni.errors import BadInput
from openuni.model.codec.protocol import Stride, VideoCodec
from openuni.model.pretrained import WAN, check_loaded, find, need

WINDOW = 4  # AutoencoderKLWan._encode: 4 frames a step after the first, written into the code


class WanCodec(VideoCodec):
    """A pretrained Wan VAE, frozen. Neither `encode` nor `decode` has gradients."""

    name = "wan"

    def __init__(
        self,
        model: str | Path = WAN,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        tiling: bool = False,
        tile_px: int = 256,
        tile_stride_px: int = 192,
        local_files_only: bool = False,
    ) -> None:
        """Load the VAE.

        Args:
            model: folder in diffusers' layout that holds vae/, or a Hub id.
            device: where the network runs. Frames and latents may lie elsewhere.
            dtype: of weights and arithmetic. Wan's own pipelines keep the VAE in float32 beside a bfloat16 network.
            tiling: work on overlapping tiles and blend them: less memory for large frames, but other numbers (see
                docs/model.md).
            tile_px: side of a tile; diffusers' default. Wan 2.2 encodes tiles of twice that side.
            tile_stride_px: from tile to tile; the rest is blended. diffusers' default.
            local_files_only: never ask the network.

        Raises:
            BadInput: diffusers is not installed, the checkpoint is for another network, its config contradicts
                itself, or the tiles do not lie on the codec's grid.
            MissingWeights: the folder or Hub id is not there or holds no vae/.
        """
        need("codec wan", "diffusers", "accelerate", "safetensors")
        from diffusers import AutoencoderKLWan

        folder = find(model, ["vae"], part="codec wan", local_files_only=local_files_only)
        try:
            vae, report = AutoencoderKLWan.from_pretrained(
                folder,
                subfolder="vae",
                torch_dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise BadInput(f"codec wan: {folder / 'vae'} cannot be loaded: {reason}") from error
        check_loaded(report, part="codec wan", folder=folder / "vae")
        self.stride, self.mean, self.std = _described(vae.config, folder / "vae")
        self.channels = len(self.mean)
        if tiling:
            _check_tiles(tile_px, tile_stride_px, 2 * self.stride.h if vae.config.patch_size else self.stride.h)
            vae.enable_tiling(tile_px, tile_px, tile_stride_px, tile_stride_px)
        vae.enable_slicing()  # one clip of a batch at a time
        self.vae = vae.eval().requires_grad_(False).to(device)
        self._away: torch.device | None = None  # where decoded windows go; None: they stay
        self.vae.encoder.register_forward_pre_hook(self._bring_window)
        self.vae.decoder.register_forward_hook(self._take_window)

    @torch.no_grad()
    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        """See VideoCodec.encode. The latents are float32, normalised in float32 whatever the codec's dtype."""
        self.check_frames(frames)
        raw = self.vae.encode(frames, return_dict=False)[0].mode().float()
        # As the pipelines: times 1 / std, which rounds differently from a division by std.
        return ((raw - _column(self.mean, raw)) * (1.0 / _column(self.std, raw))).to(frames.device)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """See VideoCodec.decode. The frames have the codec's dtype and are clipped to -1..1, as in the pipelines."""
        self.check_latents(latents)
        given = latents.to(self.vae.device, self.vae.dtype)
        raw = given / (1.0 / _column(self.std, given)) + _column(self.mean, given)
        self._away = latents.device
        try:
            return self.vae.decode(raw, return_dict=False)[0]
        finally:
            self._away = None

    def _bring_window(self, encoder: torch.nn.Module, inputs: tuple) -> tuple:
        """Move the frames that the encoder is about to see to its device and dtype."""
        return (inputs[0].to(self.vae.device, self.vae.dtype), *inputs[1:])

    def _take_window(self, decoder: torch.nn.Module, inputs: tuple, frames: torch.Tensor) -> torch.Tensor:
        """Move the frames that the decoder has just made to where the latents came from."""
        return frames if self._away is None else frames.to(self._away)


def _described(config: Any, folder: Path) -> tuple[Stride, tuple[float, ...], tuple[float, ...]]:
    """Return stride, mean and std of a VAE's config. Raises BadInput if they contradict its network."""
    halvings = len(config.dim_mult) - 1
    side = 2**halvings * (config.patch_size or 1)
    frames = 2 ** sum(config.temperal_downsample)
    if (config.scale_factor_temporal, config.scale_factor_spatial) != (frames, side):
        given = f"{config.scale_factor_temporal} and {config.scale_factor_spatial}"
        raise BadInput(
            f"codec wan: {folder}/config.json says scale_factor_temporal and _spatial {given}, "
            f"its network has {frames} and {side}"
        )
    if frames != WINDOW:
        raise BadInput(f"codec wan: AutoencoderKLWan works in steps of {WINDOW} frames, {folder} has stride {frames}")
    mean, std = tuple(config.latents_mean), tuple(config.latents_std)
    if not len(mean) == len(std) == config.z_dim:
        raise BadInput(
            f"codec wan: {folder}/config.json must have {config.z_dim} latents_mean and latents_std, "
            f"one for each channel, got {len(mean)} and {len(std)}"
        )
    return Stride(frames, side, side), mean, std


def _check_tiles(tile_px: int, stride_px: int, multiple: int) -> None:
    if tile_px % multiple or stride_px % multiple or not 0 < stride_px < tile_px:
        raise BadInput(
            f"codec wan: tile_px and tile_stride_px must be multiples of {multiple}, the stride the smaller one, "
            f"got {tile_px} and {stride_px}"
        )


def _column(values: tuple[float, ...], like: torch.Tensor) -> torch.Tensor:
    """Return (1, C, 1, 1, 1) in the dtype and on the device of `like`."""
    return torch.tensor(values).view(1, -1, 1, 1, 1).to(like.device, like.dtype)
