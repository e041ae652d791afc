"""A tiny Wan pipeline with random weights in diffusers' folder layout, made once a session."""

from pathlib import Path

import torch

WORDS = ("red", "blue", "ball", "cube", "a", "the", "rolls", "left", "camera", "caf\u00e9", "&", ".")


def tiny_vae(*, residual: bool = False):
    """AutoencoderKLWan with the real one's structure: strides (4, 8, 8), or as in Wan 2.2 (4, 16, 16)."""
    from diffusers import AutoencoderKLWan

    torch.manual_seed(0)
    extra = dict(is_residual=True, patch_size=2, in_channels=12, out_channels=12, scale_factor_spatial=16)
    return AutoencoderKLWan(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        latents_mean=[-0.75, 0.1, 0.0, 1.5],
        latents_std=[2.8, 1.4, 0.7, 1.9],
        **(extra if residual else {}),
    ).eval()


def tiny_tokenizer():
    """A T5 tokenizer of a few words and all ASCII characters."""
    from transformers import T5Tokenizer

    pieces = ["<pad>", "</s>", "<unk>", "\u2581", *(f"\u2581{word}" for word in WORDS), *map(chr, range(33, 127))]
    return T5Tokenizer(vocab=[(piece, -float(rank)) for rank, piece in enumerate(pieces)], extra_ids=0)


def tiny_text_encoder():
    from transformers import UMT5Config, UMT5EncoderModel

    torch.manual_seed(1)
    return UMT5EncoderModel(UMT5Config(vocab_size=128, d_model=16, d_kv=4, d_ff=32, num_layers=2, num_heads=4)).eval()


def save_tiny_wan(folder: Path, *, residual: bool = False) -> Path:
    """Write vae/, tokenizer/ and text_encoder/ as a pipeline's save_pretrained does."""
    tiny_vae(residual=residual).save_pretrained(folder / "vae")
    tiny_tokenizer().save_pretrained(folder / "tokenizer")
    tiny_text_encoder().save_pretrained(folder / "text_encoder")
    return folder
