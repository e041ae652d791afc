"""Tiny SAM, SAM 2, Grounding DINO and SAM 3 in the formats that are published. Each function fills one folder."""

from pathlib import Path

import torch

SAM_SIDE = 64
"""Side of the pictures that the tiny SAMs see: 4 x 4 patches."""


def save_sam(folder: Path, name: str = "sam_vit_b_01ec64.pth", seed: int = 0) -> Path:
    """Write a Sam of segment_anything, built by its own classes, as torch.save does."""
    from functools import partial

    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    torch.manual_seed(seed)
    side = SAM_SIDE // 16
    network = Sam(
        image_encoder=ImageEncoderViT(
            img_size=SAM_SIDE, embed_dim=16, depth=2, num_heads=2, out_chans=32, use_rel_pos=True, window_size=3,
            global_attn_indexes=(1,), norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=32, image_embedding_size=(side, side), input_image_size=(SAM_SIDE, SAM_SIDE), mask_in_chans=16
        ),
        mask_decoder=MaskDecoder(
            transformer=TwoWayTransformer(depth=2, embedding_dim=32, mlp_dim=32, num_heads=8), transformer_dim=32,
            iou_head_hidden_dim=16,
        ),
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), folder / name)
    return folder / name


def save_sam_hf(folder: Path, seed: int = 0) -> Path:
    """Write a SamModel of transformers with its image processor."""
    from transformers import SamConfig, SamImageProcessor, SamModel

    torch.manual_seed(seed)
    config = SamConfig(
        vision_config={
            "hidden_size": 16, "output_channels": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": SAM_SIDE, "window_size": 3, "global_attn_indexes": [1], "num_pos_feats": 16, "mlp_dim": 32,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": SAM_SIDE, "mask_input_channels": 16},
        mask_decoder_config={"hidden_size": 32, "mlp_dim": 32, "iou_head_hidden_dim": 16},
    )  # fmt: skip
    SamModel(config).save_pretrained(folder)
    quarter = SAM_SIDE // 4
    SamImageProcessor(
        size={"longest_edge": SAM_SIDE}, pad_size={"height": SAM_SIDE, "width": SAM_SIDE},
        mask_size={"longest_edge": quarter}, mask_pad_size={"height": quarter, "width": quarter},
    ).save_pretrained(folder)  # fmt: skip
    return folder


SAM2_SIDE = 64


def save_sam2(folder: Path, seed: int = 0) -> Path:
    """Write a Sam2VideoModel of 1 M parameters with its processor: it sees every thing, somewhere.

    Memory has 64 channels in the library itself, and must have fewer than features.
    """
    from transformers import (
        Sam2ImageProcessor,
        Sam2VideoConfig,
        Sam2VideoModel,
        Sam2VideoProcessor,
        Sam2VideoVideoProcessor,
    )

    torch.manual_seed(seed)
    config = Sam2VideoConfig(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1,
                "image_size": [SAM2_SIDE, SAM2_SIDE], "blocks_per_stage": [1, 1, 2, 1],
                "embed_dim_per_stage": [8, 16, 32, 64], "num_attention_heads_per_stage": [1, 1, 1, 1],
                "window_size_per_stage": [4, 2, 2, 1], "global_attention_blocks": [3],
                "window_positional_embedding_background_size": [2, 2],
            },
            "backbone_channel_list": [64, 32, 16, 8], "fpn_hidden_size": 128,
            "backbone_feature_sizes": [[SAM2_SIDE // 4] * 2, [SAM2_SIDE // 8] * 2, [SAM2_SIDE // 16] * 2],
        },
        prompt_encoder_config={"hidden_size": 128, "image_size": SAM2_SIDE},
        mask_decoder_config={"hidden_size": 128, "mlp_dim": 32, "iou_head_hidden_dim": 32, "num_attention_heads": 2},
        image_size=SAM2_SIDE, memory_attention_hidden_size=128, memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32, memory_attention_rope_feat_sizes=[SAM2_SIDE // 16] * 2,
        memory_encoder_hidden_size=128, memory_encoder_output_channels=64, mask_downsampler_embed_dim=128,
        memory_fuser_embed_dim=128, memory_fuser_intermediate_dim=32,
    )  # fmt: skip
    model = Sam2VideoModel(config)
    with torch.no_grad():
        last = model.mask_decoder.pred_obj_score_head.proj_out
        last.weight.zero_()
        last.bias.fill_(5.0)  # every thing is there
    model.save_pretrained(folder)
    size = {"height": SAM2_SIDE, "width": SAM2_SIDE}
    Sam2VideoProcessor(
        Sam2ImageProcessor(size=size, mask_size={"height": SAM2_SIDE // 4, "width": SAM2_SIDE // 4}),
        Sam2VideoVideoProcessor(size=size),
    ).save_pretrained(folder)
    return folder


DINO_BOXES = ((0.25, 0.5, 0.3, 0.6), (0.75, 0.5, 0.2, 0.4))
"""Where the tiny Grounding DINO finds a person: centre x, y, width, height, shares of the picture."""


def _solve(rows: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The smallest x with rows @ x = wanted."""
    return torch.linalg.lstsq(rows.double(), wanted.double(), driver="gelsd").solution.float()


def save_grounding_dino(folder: Path, boxes=DINO_BOXES, seed: int = 0) -> Path:
    """Write a GroundingDinoForObjectDetection with its processor that fires on "person" alone, in given boxes.

    Words do not see the picture and queries see nothing. All queries' last hidden states are nearly one vector, solved
    for so that its product with the word's own text feature is 3, with other words' -3. All start at the corner where
    the first stage's bias puts them; the last layer of the box head is solved for so that it moves each to its place.
    """
    from transformers import (
        BertTokenizer,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
    )  # fmt: skip

    torch.manual_seed(seed)
    words = {f"[unused{number}]": number for number in range(1036)}
    # The network knows these four by BERT's own numbers.
    for word, number in {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, ".": 1012, "?": 1029}.items():
        del words[f"[unused{number}]"]
        words[word] = number
    for number, word in enumerate(("person", "dog", "traffic", "light"), start=1030):
        del words[f"[unused{number}]"]
        words[word] = number
    tokenizer = BertTokenizer(vocab=words)
    config = GroundingDinoConfig(
        backbone_config={
            "model_type": "swin", "image_size": 32, "embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1],
            "window_size": 2, "out_indices": [2, 3, 4],
        },
        text_config={
            "model_type": "bert", "vocab_size": 1036, "hidden_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 32,
        },
        d_model=64, num_queries=len(boxes), encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, encoder_n_points=2, decoder_n_points=2,
        max_text_len=32,
    )  # fmt: skip
    model = GroundingDinoForObjectDetection(config).eval()
    image_processor = GroundingDinoImageProcessor(size={"shortest_edge": 32, "longest_edge": 64})
    processor = GroundingDinoProcessor(image_processor, tokenizer)
    with torch.no_grad():
        for layer in model.model.encoder.layers:
            layer.fusion_layer.text_param.zero_()  # words do not depend on the picture
        decoder = model.model.decoder
        for layer in decoder.layers:
            for part in (
                layer.self_attn.out_proj, layer.encoder_attn_text.out_proj, layer.encoder_attn.output_proj, layer.fc2
            ):  # fmt: skip
                part.weight.zero_()
                part.bias.zero_()
        model.model.encoder_output_bbox_embed.layers[-1].bias.fill_(1000.0)
        corner = torch.logit(torch.tensor(1.0), eps=1e-5)  # as the library takes it
        picture = torch.zeros(3, 32, 32, dtype=torch.uint8)
        inputs = processor(images=picture, text=[["person", "dog", "traffic light"]], return_tensors="pt")
        features = model(**inputs).encoder_last_hidden_state_text[0]
        wanted = torch.where(inputs["input_ids"][0] == words["person"], 3.0, -3.0)
        decoder.layer_norm.weight.fill_(0.02)
        decoder.layer_norm.bias.copy_(_solve(features, wanted[:, None])[:, 0])
        # Boxes move twice, behind each layer of the decoder, by one head: its last layer is linear in the sum.
        seen = []
        heads = [decoder.bbox_embed[0].layers[-1], model.bbox_embed[1].layers[-1]]
        hooks = [head.register_forward_pre_hook(lambda module, given: seen.append(given[0])) for head in heads]
        model(**inputs)
        for hook in hooks:
            hook.remove()
        moves = _solve(seen[0][0] + seen[1][0], torch.logit(torch.tensor(boxes)) - corner)
        heads[1].weight.copy_(moves.T)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def save_sam3(folder: Path, seed: int = 0) -> Path:
    """Write a Sam3VideoModel with its processor, untrained, that trusts every detection."""
    from transformers import (
        CLIPTokenizer,
        Sam2VideoVideoProcessor,
        Sam3ImageProcessor,
        Sam3VideoConfig,
        Sam3VideoModel,
        Sam3VideoProcessor,
    )  # fmt: skip

    torch.manual_seed(seed)
    side, patch = 56, 14
    grid = side // patch
    vision = {
        "backbone_config": {
            "model_type": "sam3_vit_model", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
            "num_attention_heads": 2, "image_size": side, "patch_size": patch, "window_size": 2,
            "global_attn_indexes": [1], "pretrain_image_size": side,
        },
        "fpn_hidden_size": 128, "backbone_feature_sizes": [[4 * grid] * 2, [2 * grid] * 2, [grid] * 2],
    }  # fmt: skip
    small = {"hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 16}
    config = Sam3VideoConfig(
        detector_config={
            "model_type": "sam3", "vision_config": vision,
            "text_config": {
                "model_type": "clip_text_model", "vocab_size": 64, "hidden_size": 16, "intermediate_size": 16,
                "projection_dim": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 32,
            },
            "geometry_encoder_config": {**small, "num_layers": 1}, "detr_encoder_config": {**small, "num_layers": 1},
            "detr_decoder_config": {**small, "num_layers": 1, "num_queries": 3},
            "mask_decoder_config": {"hidden_size": 128, "num_attention_heads": 2},
        },
        tracker_config={
            "model_type": "sam3_tracker_video", "vision_config": vision, "image_size": side,
            "prompt_encoder_config": {"hidden_size": 128, "image_size": side, "patch_size": patch},
            "mask_decoder_config": {
                "hidden_size": 128, "mlp_dim": 32, "iou_head_hidden_dim": 32, "num_attention_heads": 2,
            },
            "memory_attention_hidden_size": 128, "memory_attention_num_layers": 1,
            "memory_attention_feed_forward_hidden_size": 32, "memory_attention_rope_feat_sizes": [grid, grid],
            "memory_encoder_hidden_size": 128, "memory_encoder_output_channels": 64, "mask_downsampler_embed_dim": 128,
            "memory_fuser_embed_dim": 128, "memory_fuser_intermediate_dim": 32,
        },
        low_res_mask_size=4 * grid, score_threshold_detection=0.0, new_det_thresh=0.0, hotstart_delay=0,
        hotstart_unmatch_thresh=0, hotstart_dup_thresh=0, det_nms_thresh=1.0, fill_hole_area=0,
    )  # fmt: skip
    Sam3VideoModel(config).save_pretrained(folder)
    letters = {"<|startoftext|>": 0, "<|endoftext|>": 1}
    for letter in "abcdefghijklmnopqrstuvwxyz":
        letters[letter] = len(letters)
        letters[f"{letter}</w>"] = len(letters)
    size = {"height": side, "width": side}
    Sam3VideoProcessor(
        Sam3ImageProcessor(size=size, mask_size={"height": 4 * grid, "width": 4 * grid}),
        Sam2VideoVideoProcessor(size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3),
        CLIPTokenizer(vocab=letters, merges=[]),
    ).save_pretrained(folder)
    return folder
