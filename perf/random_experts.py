"""Random weights of experts, of the real sizes or tiny, in the published formats, for measuring speed and memory.

Numbers of the real sizes are those of the published config.json files and of the papers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.annotators import tiny_experts, tiny_masks

SIZES = ("tiny", "real")


def save(expert: str, weights: Path, size: str) -> None:
    """Write an expert's files, and those of networks it uses, into the folder `weights`; what is there is kept."""
    for name, writers in WRITERS.items():
        if name in (expert, *USES.get(expert, ())):
            folder = weights / FOLDERS[name]
            if not folder.is_dir():
                torch.manual_seed(0)
                writers[SIZES.index(size)](folder)


def _depth_anything(folder: Path, hidden: int, layers: int, heads: int, out: list[int], neck: list[int]) -> None:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessor

    backbone = Dinov2Config(
        hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, image_size=518, patch_size=14,
        out_indices=out, reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=hidden, neck_hidden_sizes=neck, fusion_hidden_size=neck[0],
        head_hidden_size=32, patch_size=14,
    )  # fmt: skip
    model = DepthAnythingForDepthEstimation(config)
    with torch.no_grad():
        model.head.conv3.bias.fill_(1.0)  # not all sky
    model.save_pretrained(folder)
    DPTImageProcessor(
        size={"height": 518, "width": 518}, keep_aspect_ratio=True, ensure_multiple_of=14, resample=3,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
    ).save_pretrained(folder)  # fmt: skip


def _sam_h(folder: Path) -> None:
    from segment_anything import sam_model_registry

    folder.mkdir(parents=True)
    torch.save(sam_model_registry["vit_h"]().state_dict(), folder / "sam_vit_h_4b8939.pth")


def _sam2_large(folder: Path) -> None:
    from transformers import (
        Sam2ImageProcessor,
        Sam2VideoConfig,
        Sam2VideoModel,
        Sam2VideoProcessor,
        Sam2VideoVideoProcessor,
    )

    backbone = {
        "model_type": "sam2_hiera_det_model", "hidden_size": 144, "num_attention_heads": 2,
        "blocks_per_stage": [2, 6, 36, 4], "embed_dim_per_stage": [144, 288, 576, 1152],
        "num_attention_heads_per_stage": [2, 4, 8, 16], "window_size_per_stage": [8, 4, 16, 8],
        "global_attention_blocks": [23, 33, 43], "window_positional_embedding_background_size": [7, 7],
    }  # fmt: skip
    vision = {"backbone_config": backbone, "backbone_channel_list": [1152, 576, 288, 144]}
    model = Sam2VideoModel(Sam2VideoConfig(vision_config=vision))
    with torch.no_grad():
        last = model.mask_decoder.pred_obj_score_head.proj_out
        last.weight.zero_()
        last.bias.fill_(5.0)  # every thing is there, so that all are followed to the end
    model.save_pretrained(folder)
    Sam2VideoProcessor(Sam2ImageProcessor(), Sam2VideoVideoProcessor()).save_pretrained(folder)


def _grounding_dino_tiny(folder: Path) -> None:
    """The real network's sizes with a vocabulary of our own: words cost no time."""
    from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection, GroundingDinoProcessor

    tiny_masks.save_grounding_dino(folder)
    processor = GroundingDinoProcessor.from_pretrained(folder)
    processor.image_processor.size = {"shortest_edge": 800, "longest_edge": 1333}
    GroundingDinoForObjectDetection(GroundingDinoConfig()).save_pretrained(folder)
    processor.save_pretrained(folder)


def _raft(name: str) -> Callable[[Path], Any]:
    def write(folder: Path) -> None:
        tiny_experts.save_raft(folder, name)

    return write


_LARGE = "raft_large_C_T_SKHT_V2-ff5fadd5.pth"
FOLDERS = {
    "depth-anything-v2-small": "Depth-Anything-V2-Small-hf",
    "depth-anything-v2-large": "Depth-Anything-V2-Large-hf",
    "raft-large": "raft",
    "sam": "sam",
    "sam2.1-large": "sam2.1-hiera-large",
    "grounded-sam2": "grounding-dino-tiny",
}
USES = {"sam": ("sam2.1-large",), "grounded-sam2": ("sam2.1-large",)}
WRITERS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {
    "depth-anything-v2-small": (
        tiny_experts.save_depth_anything,
        lambda folder: _depth_anything(folder, 384, 12, 6, [3, 6, 9, 12], [48, 96, 192, 384]),
    ),
    "depth-anything-v2-large": (
        tiny_experts.save_depth_anything,
        lambda folder: _depth_anything(folder, 1024, 24, 16, [5, 12, 18, 24], [256, 512, 1024, 1024]),
    ),
    "raft-large": (_raft(_LARGE), _raft(_LARGE)),
    "sam": (tiny_masks.save_sam, _sam_h),
    "sam2.1-large": (tiny_masks.save_sam2, _sam2_large),
    "grounded-sam2": (tiny_masks.save_grounding_dino, _grounding_dino_tiny),
}
"""Expert -> what writes it tiny, and of the real size."""
EXPERTS = ("depth-anything-v2-large", "raft-large", "sam")
"""What is measured by default: the experts of the set `paper` that are written here."""
