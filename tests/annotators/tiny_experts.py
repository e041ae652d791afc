"""Tiny random networks in the formats that are published, for tests of experts. Each function fills one folder."""

from pathlib import Path

import torch

# What `transformers` ships beside the published checkpoints: resize so that the shorter side is 518, here 28.
DEPTH_ANYTHING_SIDE = 28
DEPTH_PRO_PATCH = 32


def save_depth_anything(folder: Path, seed: int = 0, side: int = DEPTH_ANYTHING_SIDE) -> Path:
    """Write a DepthAnythingForDepthEstimation of 0.1 M parameters with its image processor."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessor

    torch.manual_seed(seed)
    backbone = Dinov2Config(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, mlp_ratio=2, image_size=28, patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=32, neck_hidden_sizes=[8, 12, 16, 16], fusion_hidden_size=16,
        head_hidden_size=8, patch_size=14,
    )  # fmt: skip
    model = DepthAnythingForDepthEstimation(config)
    with torch.no_grad():  # as initialised it gives nearly the same everywhere; this one shows something of the picture
        for part in (model.neck, model.head):
            for name, value in part.named_parameters():
                value.mul_(6.0 if name.endswith("weight") else 1.0)
        model.head.conv3.bias.fill_(1.0)
    model.save_pretrained(folder)
    DPTImageProcessor(
        size={"height": side, "width": side}, keep_aspect_ratio=True, ensure_multiple_of=14, resample=3,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225], do_rescale=True,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def save_depth_pro(folder: Path, seed: int = 0) -> Path:
    """Write a DepthProForDepthEstimation with its field-of-view head and its image processor."""
    from transformers import DepthProConfig, DepthProForDepthEstimation, DepthProImageProcessor, Dinov2Config

    torch.manual_seed(seed)

    def vit() -> dict:
        return Dinov2Config(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, patch_size=8,
            image_size=DEPTH_PRO_PATCH,
        ).to_dict()  # fmt: skip

    config = DepthProConfig(
        fusion_hidden_size=16, patch_size=DEPTH_PRO_PATCH, intermediate_hook_ids=[1, 0],
        intermediate_feature_dims=[16, 16], scaled_images_ratios=[0.25, 0.5, 1.0],
        scaled_images_overlap_ratios=[0.0, 0.5, 0.25], scaled_images_feature_dims=[16, 16, 16], merge_padding_value=1,
        use_fov_model=True, num_fov_head_layers=0, image_model_config=vit(), patch_model_config=vit(),
        fov_model_config=vit(),
    )  # fmt: skip
    model = DepthProForDepthEstimation(config)
    with torch.no_grad():
        model.head.layers[-2].bias.fill_(1.0)  # inverse depth around 1
        for layer in model.fov_model.head.layers:
            if getattr(layer, "bias", None) is not None:
                last = layer
        last.bias.fill_(50.0)  # degrees
    model.save_pretrained(folder)
    DepthProImageProcessor(size={"height": 4 * DEPTH_PRO_PATCH, "width": 4 * DEPTH_PRO_PATCH}).save_pretrained(folder)
    return folder


def save_raft(folder: Path, name: str = "raft_small_C_T_V2-01064c6d.pth", seed: int = 0) -> Path:
    """Write torchvision's raft_small (1 M parameters: it has no smaller one) as torch.save does; large by its name."""
    from torchvision.models import optical_flow

    torch.manual_seed(seed)
    network = optical_flow.raft_large if "large" in name else optical_flow.raft_small
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(network(weights=None).state_dict(), folder / name)
    return folder / name


def save_clip(folder: Path, seed: int = 0) -> Path:
    """Write a CLIPModel of 0.1 M parameters with its image processor, features of 16 numbers."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    torch.manual_seed(seed)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config=CLIPTextConfig(**size, vocab_size=64, bos_token_id=1, eos_token_id=2).to_dict(),
        vision_config=CLIPVisionConfig(**size, image_size=32, patch_size=8).to_dict(),
        projection_dim=16,
    )
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def save_aesthetic_head(folder: Path, dim: int = 16) -> Path:
    """Write LAION's head in its own format: a torch file with `weight` and `bias` of a linear layer."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    state = {"weight": torch.randn(1, dim, generator=generator), "bias": torch.tensor([5.0])}
    torch.save(state, folder / "sa_0_4_vit_l_14_linear.pth")
    return folder


def hide_caches(monkeypatch, folder):
    """Point the libraries' caches at an empty folder: those of this machine must not decide."""
    for name in ("OPENUNI_WEIGHTS", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(folder / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
