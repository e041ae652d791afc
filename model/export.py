"""Export: a model for openuni, or its RGB half as plain Wan for diffusers or for tools of the original repository.

Plain Wan has no modality switcher. What it learnt for RGB, L_r, is added to every time embedding, and so goes into the
bias of the time embedder's last layer, exactly but for rounding.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openuni.errors import BadInput, UnknownName
from openuni.model import wan_names
from openuni.model.config import write_config
from openuni.model.pipeline import Found

FORMATS = ("openuni", "wan-diffusers", "wan-original")
TIME_BIAS = "condition_embedder.time_embedder.linear_2.bias"
STOCK_CONFIG = (
    *("patch_size", "num_attention_heads", "attention_head_dim", "in_channels", "out_channels", "text_dim", "freq_dim"),
    *("ffn_dim", "num_layers", "cross_attn_norm", "qk_norm", "eps", "rope_max_seq_len"),
)
MAX_SHARD = "5GB"


def export(model: Found, out: Path, format: str) -> list[Path]:
    """Write a model in another form.

    Args:
        model: what is exported.
        out: a folder that is not there yet, or empty.
        format: one of FORMATS. openuni: `transformer/` and openuni.json. wan-diffusers: `transformer/` of stock
            WanTransformer3DModel. wan-original: one safetensors file with the original repository's names, and its
            config.json.

    Returns:
        What was written, the card (README.md) last.

    Raises:
        UnknownName: another format.
        BadInput: the folder holds something, or the network cannot be plain Wan.
    """
    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} is not an empty folder. Choose another --out.")
    if format != "openuni" and model.network.arguments.prediction != "velocity":
        raise BadInput(f"{model.said} predicts x0, plain Wan velocity: it can only be exported with --format openuni.")
    out.mkdir(parents=True, exist_ok=True)
    if format == "openuni":
        model.network.save_pretrained(out / "transformer", max_shard_size=MAX_SHARD)
        write_config(out, model.config)
    elif format == "wan-diffusers":
        _stock(model).save_pretrained(out / "transformer", max_shard_size=MAX_SHARD)
    else:
        from safetensors.torch import save_file

        state = {name: tensor.contiguous() for name, tensor in wan_names.to_original(plain_wan(model)).items()}
        save_file(state, out / "model.safetensors", metadata={"format": "pt"})
        (out / "config.json").write_text(json.dumps(_original_config(model), indent=2) + "\n", "utf-8")
    (out / "README.md").write_text(card(model, format), "utf-8")
    written = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name != "README.md"]
    return [*written, out / "README.md"]


def plain_wan(model: Found) -> dict[str, Tensor]:
    """The network's tensors without modalities, under diffusers' names; L_r is in the time embedder's bias."""
    state = {name: tensor for name, tensor in model.network.state_dict().items() if not name.startswith("modality_")}
    table = model.network.modality_table
    if table is not None:
        bias = state[TIME_BIAS]
        state[TIME_BIAS] = (bias.double() + table[0].detach().double()).to(bias.dtype)
    return state


def _stock(model: Found) -> Any:
    """A stock WanTransformer3DModel with the network's weights."""
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    with torch.device("meta"):
        stock = WanTransformer3DModel(**{name: model.network.arguments[name] for name in STOCK_CONFIG})
    stock.load_state_dict(plain_wan(model), strict=True, assign=True)
    return stock


def _original_config(model: Found) -> dict[str, object]:
    """config.json of the original repository's WanModel."""
    config = model.network.arguments
    return {
        "_class_name": "WanModel",
        "model_type": "t2v",
        "patch_size": list(config.patch_size),
        "text_len": 512,
        "in_dim": config.in_channels,
        "dim": config.num_attention_heads * config.attention_head_dim,
        "ffn_dim": config.ffn_dim,
        "freq_dim": config.freq_dim,
        "text_dim": config.text_dim,
        "out_dim": config.out_channels,
        "num_heads": config.num_attention_heads,
        "num_layers": config.num_layers,
        "eps": config.eps,
    }


def card(model: Found, format: str) -> str:
    """Write the model card, with Hugging Face's front matter."""
    config, network = model.config, model.network.arguments
    base = str(config.codec_options.get("model", ""))
    front = [
        "library_name: openuni" if format == "openuni" else "library_name: diffusers",
        "pipeline_tag: text-to-video",
    ]
    if base.count("/") == 1 and not Path(base).exists():
        front.append(f"base_model: {json.dumps(base)}")
    parameters = sum(tensor.numel() for tensor in model.network.parameters())
    size = f"{config.num_frames} frames, {config.height} x {config.width} px, {config.fps:g} fps"
    lines = [
        "---",
        *front,
        f"tags: [openuni, {', '.join(network.modalities)}]",
        "---",
        "",
        f"# {'Unified video model' if format == 'openuni' else 'Text-to-video half of a unified video model'}",
        "",
        f"{parameters / 1e6:,.1f} M parameters, {size}. Made from {_plain(model.said)} by `openuni export`.",
        *([] if model.trained else ["", "**Its weights, or those of its modality layers, are untrained.**"]),
        "",
    ]
    if format == "openuni":
        rates = ", ".join(f"{name} {weight:g}" for name, weight in config.tasks.tasks.items())
        lines += [
            f"RGB and {', '.join(network.modalities)}, any from any and both from text (UnityVideo, arXiv 2512.07831).",
            "",
            f"- codec `{config.codec}` {_plain(base)}, text `{config.text}`",
            f"- tasks in training: {rates}; captions dropped {config.tasks.drop_caption:g}, modality prompts "
            f"{config.tasks.drop_prompt:g}, conditions {config.tasks.drop_condition:g}; shift {config.tasks.shift:g}",
            f"- answers: {network.prediction}; heads: {network.head}; times: {network.time}",
            "",
            "```",
            "openuni generate --model THIS_FOLDER --task joint --modality depth --prompt 'a dog runs' --out clip",
            "```",
        ]
    elif format == "wan-diffusers":
        lines += [
            "The modality layers are left out; what the switcher learnt for RGB is in the time embedding.",
            "",
            "```python",
            "transformer = WanTransformer3DModel.from_pretrained(THIS_FOLDER, subfolder='transformer')",
            f"pipeline = WanPipeline.from_pretrained({base or 'WAN_FOLDER'!r}, transformer=transformer)",
            "```",
        ]
    else:
        lines += ["One file with the names of the original Wan repository, for tools that read those."]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Text without what Markdown or HTML would take for markup, and without a machine's folders."""
    words = [Path(word).name if "/" in word and Path(word).is_absolute() else word for word in text.split(" ")]
    return " ".join(words).replace("<", "").replace(">", "").replace("`", "")
