"""Weights that anyone can make again from names and shapes, written as VBench keeps them in its cache."""

import gzip
import zlib
from pathlib import Path

import numpy as np
import torch

FILES = {
    "dino": "dino_model/dino_vitbase16_pretrain.pth",
    "clip": "clip_model/ViT-B-32.pt",
    "clip_large": "clip_model/ViT-L-14.pt",
    "aesthetic": "aesthetic_model/emb_reader/sa_0_4_vit_l_14_linear.pth",
    "musiq": "pyiqa_model/musiq_spaq_ckpt-358bb6af.pth",
    "raft": "raft_model/models/raft-things.pth",
    "amt": "amt_model/amt-s.pth",
    "viclip": "ViCLIP/ViClip-InternVid-10M-FLT.pth",
}
"""Network -> its file in VBench's cache."""
MERGES = "ViCLIP/bpe_simple_vocab_16e6.txt.gz"


def seeded(name, shape, *, seed=0):
    """Return a tensor that depends on its name, shape and seed alone.

    numpy's legacy generator, whose stream is frozen (NEP 19). Filters have deviation 1/sqrt(inputs), so that a signal
    neither dies nor blows up; norms are near 1 and 0. RAFT's second names of one norm get the same tensor.
    """
    name = name.replace("downsample.1.", "norm3.")
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    random = np.random.RandomState(zlib.crc32(f"{seed} {name}".encode()))
    noise = torch.from_numpy(random.standard_normal(tuple(shape)).astype(np.float32))
    if name.endswith("running_var"):
        return 1 + 0.5 * noise.abs()
    if "update_block.flow_head.conv2" in name:  # RAFT's steps: motions near VBench's threshold, some above, some below
        return 0.03 * noise / (max(noise[0].numel(), 1) ** 0.5 if len(shape) > 1 else 10)
    if len(shape) > 1 and "embed" not in name:
        return noise / max(noise[0].numel(), 1) ** 0.5
    if len(shape) <= 1 and name.endswith("weight"):
        return (0.25 if shape and "norm" not in name and "ln_" not in name and "gn" not in name else 1) + 0.1 * noise
    return (0.3 if "embed" in name else 0.1) * noise


def write_cache(folder, shapes, merges):
    """Write a checkpoint of every network in its official format.

    Args:
        folder: becomes VBENCH_CACHE_DIR.
        shapes: network -> tensor's name -> shape.
        merges: CLIP's list of merges, a file.
    """
    for network, named in shapes.items():
        state = {name: seeded(name, shape) for name, shape in named.items()}
        if network.startswith("clip"):  # published in half precision, and OpenAI's code rounds to it in any case
            state = {name: value.half() for name, value in state.items()}
        if network == "aesthetic":
            state["bias"] += 5
        if network == "raft":
            state = {f"module.{name}": value for name, value in state.items()}
        wrapped = {"amt": {"state_dict": state}, "viclip": {"model": state}}.get(network, state)
        path = Path(folder, FILES[network])
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(wrapped, path)
    target = Path(folder, MERGES)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(Path(merges).read_bytes())


def pictures(count, height, width, *, seed=0):
    """Return (count, 3, height, width) float32 noise in [0, 1] that is smooth enough to have shapes."""
    random = np.random.RandomState(seed)
    coarse = torch.from_numpy(random.random_sample((count, 3, 9, 9)).astype(np.float32))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)


def plain_merges(path):
    """Write a list of merges in CLIP's format that merges nothing any text has: for tests without the real one."""
    lines = ["# version"] + [f"\u0100{number} \u0100{number}" for number in range(49152 - 256 - 2)]
    Path(path).write_bytes(gzip.compress("\n".join(lines).encode("utf-8"), mtime=0))
    return path
