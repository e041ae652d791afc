"""SAM's network in its authors' package, built as large as a state dict says: vit_b, vit_l, vit_h or any other.

segment_anything's own builders read a file with full pickle and know three sizes by name. Here the sizes are read off
the tensors, so that a renamed file loads and a wrong one is told.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openuni.annotators.expert import fill
from openuni.errors import BadInput

if TYPE_CHECKING:
    import torch

DECODER_HEADS = 8  # as all released checkpoints; no tensor's shape tells
PIXEL_MEAN, PIXEL_STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]  # ImageNet's, as segment_anything has them


def build_sam(state: dict[str, "torch.Tensor"], path: Path) -> Any:
    """Build segment_anything's Sam and fill it.

    Args:
        state: the tensors of a checkpoint.
        path: where they are from, for messages.

    Raises:
        BadInput: the tensors are not a SAM's.
    """
    try:
        network = _build(state)
    except (KeyError, IndexError, ValueError, ZeroDivisionError, AssertionError) as error:
        why = f"{path} holds no SAM of segment_anything ({error}). Fetch what openuni weights names."
        raise BadInput(why) from error
    fill(network, state, path)
    return network.eval()


def _build(state: dict[str, "torch.Tensor"]) -> Any:
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
    from torch import nn

    side = state["image_encoder.pos_embed"].shape[1]  # patches along the picture's side
    width, _, patch, _ = state["image_encoder.patch_embed.proj.weight"].shape
    depth = _count(state, "image_encoder.blocks.")
    spans = [(state[f"image_encoder.blocks.{one}.attn.rel_pos_h"].shape[0] + 1) // 2 for one in range(depth)]
    everywhere = [one for one, span in enumerate(spans) if span == side]
    windows = {span for span in spans if span != side}
    if len(windows) > 1:
        raise ValueError(f"blocks with windows of {sorted(windows)}")
    head = state["image_encoder.blocks.0.attn.rel_pos_h"].shape[1]
    channels = state["image_encoder.neck.0.weight"].shape[0]
    tokens = state["mask_decoder.mask_tokens.weight"].shape[0]
    iou = "mask_decoder.iou_prediction_head.layers."
    transformer = TwoWayTransformer(
        depth=_count(state, "mask_decoder.transformer.layers."),
        embedding_dim=channels,
        mlp_dim=state["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
        num_heads=DECODER_HEADS,
    )
    return Sam(
        image_encoder=ImageEncoderViT(
            depth=depth,
            embed_dim=width,
            img_size=side * patch,
            mlp_ratio=state["image_encoder.blocks.0.mlp.lin1.weight"].shape[0] / width,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            num_heads=width // head,
            patch_size=patch,
            qkv_bias=True,
            use_rel_pos=True,
            global_attn_indexes=tuple(everywhere),
            window_size=windows.pop() if windows else 0,
            out_chans=channels,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=channels,
            image_embedding_size=(side, side),
            input_image_size=(side * patch, side * patch),
            mask_in_chans=state["prompt_encoder.mask_downscaling.3.weight"].shape[0],
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=tokens - 1,
            transformer=transformer,
            transformer_dim=channels,
            iou_head_depth=_count(state, iou),
            iou_head_hidden_dim=state[f"{iou}0.weight"].shape[0],
        ),
        pixel_mean=PIXEL_MEAN,
        pixel_std=PIXEL_STD,
    )


def _count(state: dict[str, "torch.Tensor"], prefix: str) -> int:
    """How many numbered parts there are behind a prefix."""
    return len({name.removeprefix(prefix).partition(".")[0] for name in state if name.startswith(prefix)})
