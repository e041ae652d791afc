"""Tiny random pipelines of diffusers, written by their own save_pretrained: the layout of the published ones."""

from pathlib import Path

import torch

from tests.model.tiny_wan import tiny_text_encoder, tiny_tokenizer, tiny_vae

KINDS = ("WanPipeline", "WanVACEPipeline", "HunyuanVideoPipeline")


def save_tiny_pipeline(kind: str, folder: Path) -> Path:
    """Write model_index.json and all parts of a pipeline."""
    torch.manual_seed(2)
    made = _hunyuan() if kind == "HunyuanVideoPipeline" else _wan(kind)
    made.save_pretrained(folder)
    return folder


def _wan(kind: str):
    import diffusers

    shape = dict(
        num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4, text_dim=16, freq_dim=16,
        ffn_dim=32, num_layers=2, qk_norm="rms_norm_across_heads", cross_attn_norm=True, rope_max_seq_len=32,
    )  # fmt: skip
    if kind == "WanVACEPipeline":
        # The control: twice the codec's channels, and a mask for each pixel of a latent's 8 x 8.
        network = diffusers.WanVACETransformer3DModel(**shape, vace_layers=[0], vace_in_channels=2 * 4 + 64)
    else:
        network = diffusers.WanTransformer3DModel(**shape)
    scheduler = diffusers.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    parts = dict(tokenizer=tiny_tokenizer(), text_encoder=tiny_text_encoder(), vae=tiny_vae(), scheduler=scheduler)
    return getattr(diffusers, kind)(transformer=network.eval(), **parts)


def _hunyuan():
    import diffusers
    from transformers import CLIPTextConfig, CLIPTextModel, LlamaConfig, LlamaModel

    network = diffusers.HunyuanVideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=12, num_layers=1,
        num_single_layers=1, num_refiner_layers=1, patch_size=2, patch_size_t=1, guidance_embeds=True,
        text_embed_dim=16, pooled_projection_dim=16, rope_axes_dim=(4, 4, 4),
    )  # fmt: skip
    vae = diffusers.AutoencoderKLHunyuanVideo(
        latent_channels=4, block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4
    )
    shape = dict(vocab_size=128, hidden_size=16, intermediate_size=32, num_attention_heads=2, pad_token_id=0)
    llama = LlamaModel(LlamaConfig(**shape, num_hidden_layers=4, num_key_value_heads=2))
    clip = CLIPTextModel(CLIPTextConfig(**shape, num_hidden_layers=1, bos_token_id=1, eos_token_id=1))
    return diffusers.HunyuanVideoPipeline(
        text_encoder=llama.eval(), tokenizer=word_tokenizer(), transformer=network.eval(), vae=vae.eval(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0), text_encoder_2=clip.eval(),
        tokenizer_2=word_tokenizer(),
    )  # fmt: skip


def word_tokenizer():
    """Words and punctuation as tokens: HunyuanVideo's instruction has more than the 95 that are cut off, as Llama's."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "</s>", "<unk>", "a", "the", "red", "blue", "ball", "cube", "rolls", "person", "walks", "and"]
    core = Tokenizer(models.WordLevel({word: rank for rank, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=77
    )
