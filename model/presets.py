"""Model presets: a network's shape and everything around it, each a function that can be read at a glance."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from openuni.model.config import ModelConfig
from openuni.model.pretrained import WAN
from openuni.model.renderings.config import paper as paper_rendering
from openuni.model.renderings.config import tiny as tiny_rendering
from openuni.model.tasks import TaskConfig, release_tasks
from openuni.model.train_config import PAPER_STAGES, TrainConfig

WAN_1_3B = WAN
WAN_14B = "Wan-AI/Wan2.1-T2V-14B-Diffusers"
WAN22_5B = "Wan-AI/Wan2.2-TI2V-5B-Diffusers"


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One kind of model."""

    network: Mapping[str, Any]
    """Arguments of UnityVideo."""
    model: ModelConfig
    """What is around it."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """How it is trained."""
    stride: tuple[int, int, int] = (4, 8, 8)
    """Of its codec, frames, height and width: for counting tokens without loading it."""
    init: str | None = None
    """Public weights that training starts from; None: there are none, it starts from nothing."""
    about: str = ""
    """One sentence for `openuni list presets`."""
    published_parameters: int | None = field(default=None)
    """Of the public network, without what openuni adds."""

    @property
    def latent(self) -> tuple[int, int, int]:
        """Frames, height and width of a training clip's latents."""
        (t, h, w), clip = self.stride, self.model
        return (clip.num_frames - 1) // t + 1, clip.height // h, clip.width // w

    @property
    def prompt_tokens(self) -> int:
        """Of each prompt, padding included: 512 in Wan."""
        return int(self.model.text_options.get("max_words", 512))


def tiny_cpu() -> Preset:
    """A network that learns all modalities of the scenes `plain` on two CPU cores: 2 M parameters, 24 px, 3 frames.

    docs/tiny.md has the figure behind each choice.
    """
    return Preset(
        network=_small(heads=6, head_dim=24, layers=6, ffn=432, patch=3),
        model=_around(side=24, num_frames=3, patch=3, tasks={"cond": 0.1, "est": 0.75, "joint": 0.15}),
        train=TrainConfig(
            steps=3600,
            batch_size=4,
            optimiser="muon",
            learning_rate=2e-3,
            new_rate=1.0,
            foreground_weight=4.0,
            warmup=20,
            schedule="cosine",
            ema=0.995,
            save_every=500,
            export_every=1200,
            validate_every=1000,
            workers=1,
        ),
        stride=(1, 3, 3),
        about="for a laptop: 24 px, 3 frames, no downloads; starts from nothing",
    )


def tiny_half() -> Preset:
    """What the shipped model learns first: `varied` at half its size, 24 px and 3 frames, 0.65 M parameters."""
    return Preset(
        network=_small(heads=4, head_dim=24, layers=4, ffn=288, patch=3),
        model=_around(side=24, num_frames=3, patch=3, tasks={"cond": 0.1, "est": 0.75, "joint": 0.15}),
        train=replace(tiny_cpu().train, steps=6500, save_every=1000, export_every=2000, validate_every=0),
        stride=(1, 3, 3),
        about="the first part of the shipped model's training: 24 px, 3 frames; starts from nothing",
    )


def tiny() -> Preset:
    """The shipped model: 48 px, 5 frames; it starts from `tiny_half` grown to twice its size. docs/tiny.md."""
    return Preset(
        network=_small(heads=4, head_dim=24, layers=4, ffn=288, patch=6),
        model=_around(side=48, num_frames=5, patch=6, tasks={"cond": 0.1, "est": 0.75, "joint": 0.15}),
        train=replace(tiny_cpu().train, steps=2500, muon_rate=0.01, learning_rate=1e-3, save_every=250,
                      export_every=500),
        stride=(1, 6, 6),
        init="tiny",
        about="the model that is shipped: 48 px, 5 frames, no downloads",
    )  # fmt: skip


def _small(*, heads: int, head_dim: int, layers: int, ffn: int, patch: int) -> dict[str, Any]:
    """A small network on lossless patches, with the hash encoder's words."""
    channels = 3 * patch * patch
    return {
        "patch_size": (1, 1, 1),
        "num_attention_heads": heads,
        "attention_head_dim": head_dim,
        "in_channels": channels,
        "out_channels": channels,
        "text_dim": 64,
        "freq_dim": 64,
        "ffn_dim": ffn,
        "num_layers": layers,
        "prediction": "x0",
    }


def _around(*, side: int, num_frames: int, patch: int, tasks: Mapping[str, float]) -> ModelConfig:
    """What is around a small network; rates of modalities by how late each is learned."""
    modalities = {"depth": 0.14, "flow": 0.30, "densepose": 0.22, "skeleton": 0.20, "segmentation": 0.14}
    return ModelConfig(
        codec="patch",
        codec_options={"size": patch},
        text="hash",
        text_options={"dim": 64, "max_words": 64},
        tasks=TaskConfig(tasks=dict(tasks), modalities=modalities, shift=3.0, noise_share=0.2),
        rendering=tiny_rendering(),
        sampler="tiny",
        num_frames=num_frames,
        height=side,
        width=side,
        fps=8.0,
    )


def wan_1_3b() -> Preset:
    """Wan2.1-T2V-1.3B, 480p."""
    return Preset(
        network={"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30},
        model=ModelConfig(
            codec_options={"model": WAN_1_3B},
            text_options={"model": WAN_1_3B},
            tasks=TaskConfig(shift=3.0),
        ),
        train=TrainConfig(stages=PAPER_STAGES, dtype="bfloat16", checkpoint_activations=True, compile=True),
        init=WAN_1_3B,
        about="on Wan2.1-T2V-1.3B, 480p",
        published_parameters=1_418_996_800,
    )


def wan22_5b() -> Preset:
    """Wan2.2-TI2V-5B with the released UnityVideo's recipe: 256 px, 33 frames."""
    return Preset(
        network={"num_attention_heads": 24, "ffn_dim": 14336, "num_layers": 30, "in_channels": 48, "out_channels": 48},
        model=ModelConfig(
            codec_options={"model": WAN22_5B},
            text_options={"model": WAN22_5B},
            tasks=release_tasks(),
            rendering=paper_rendering(),
            num_frames=33,
            height=256,
            width=256,
        ),
        train=TrainConfig(
            steps=30_000,
            learning_rate=1e-5,
            clip_norm=1.5,
            dtype="bfloat16",
            checkpoint_activations=True,
            compile=True,
        ),
        stride=(4, 16, 16),
        init=WAN22_5B,
        about="on Wan2.2-TI2V-5B, the released UnityVideo's size and draws",
        published_parameters=4_999_787_712,
    )


def wan_14b() -> Preset:
    """Wan2.1-T2V-14B, 720p."""
    return Preset(
        network={"num_attention_heads": 40, "ffn_dim": 13824, "num_layers": 40},
        model=ModelConfig(
            codec_options={"model": WAN_14B},
            text_options={"model": WAN_14B},
            tasks=TaskConfig(shift=5.0),
            height=720,
            width=1280,
        ),
        train=TrainConfig(
            stages=PAPER_STAGES, learning_rate=1e-5, dtype="bfloat16", checkpoint_activations=True, compile=True
        ),
        init=WAN_14B,
        about="on Wan2.1-T2V-14B, 720p",
        published_parameters=14_288_491_584,
    )


def paper_10b() -> Preset:
    """A stand-in of the paper's size.

    Its 10B backbone is internal and undocumented, so that there are no public weights of this shape: training starts
    from nothing, with Wan2.1's codec and text encoder.
    """
    return Preset(
        network={"num_attention_heads": 32, "ffn_dim": 16384, "num_layers": 37},
        model=ModelConfig(
            codec_options={"model": WAN_1_3B},
            text_options={"model": WAN_1_3B},
            tasks=TaskConfig(shift=3.0),
            rendering=paper_rendering(),
            sampler="paper",
        ),
        train=TrainConfig(
            stages=PAPER_STAGES, new_rate=1.0, dtype="bfloat16", checkpoint_activations=True, compile=True
        ),
        about="a stand-in of the paper's size (its backbone is not public); starts from nothing",
        published_parameters=10_088_521_792,
    )
