"""Model presets: a network's shape and everything around it, each a function that can be read at a glance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """A network for a laptop: 0.65 M parameters, 32 px, lossless patches, hashed words."""
    return Preset(
        network={
            "patch_size": (1, 1, 1),
            "num_attention_heads": 4,
            "attention_head_dim": 24,
            "in_channels": 48,
            "out_channels": 48,
            "text_dim": 64,
            "freq_dim": 64,
            "ffn_dim": 288,
            "num_layers": 4,
            "prediction": "x0",
        },
        model=ModelConfig(
            codec="patch",
            codec_options={"size": 4},
            text="hash",
            text_options={"dim": 64, "max_words": 64},
            tasks=TaskConfig(shift=3.0, noise_share=0.2),
            rendering=tiny_rendering(),
            sampler="tiny",
            num_frames=5,
            height=32,
            width=32,
            fps=8.0,
        ),
        train=TrainConfig(
            steps=1500,
            batch_size=8,
            learning_rate=1.5e-3,
            new_rate=1.0,
            warmup=50,
            schedule="cosine",
            ema=0.995,
            save_every=250,
            export_every=500,
            validate_every=250,
            workers=1,
        ),
        stride=(1, 4, 4),
        about="for a laptop: 32 px, 5 frames, no downloads; starts from nothing",
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
