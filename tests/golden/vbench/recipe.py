"""Recipe of numbers.json: VBench's own code, and the networks' own, on the three clips here with seeded weights.

    python recipe.py --clips                              makes a.mp4, b.mp4 and c.mp4 anew (the bytes go with x264)
    python recipe.py --vbench DIR --iqa DIR --dino DIR    writes numbers.json

DIR are checkouts of github.com/Vchitect/VBench (45e79ec), chaofengc/IQA-PyTorch (01ae427) and facebookresearch/dino.
Run it in an environment of its own that has openuni, and besides openai-clip, timm, einops, omegaconf, easydict,
imageio and setuptools<80. CPU, float32, one thread. Networks are small where their code lets them be; RAFT and AMT-S
have their full size. `shapes` holds the original tensor names; `full` the digests of those of the published sizes.
"""

import argparse
import hashlib
import itertools
import json
import os
import shutil
import sys
import tempfile
import types
from functools import partial
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "benchmark" / "vbench"))
from seeded import FILES, pictures, seeded, write_cache  # noqa: E402

CLIPS = {"a": (13, 136, 200, 24), "b": (9, 145, 175, 8), "c": (14, 160, 528, 30)}
"""Name -> frames, height, width, frames a second. b is of odd size; c is longer than imaging quality's 512 px."""
PROMPTS = {"a": "A red square slides over a wooden floor", "b": "two people don't walk, 3 dogs do", "c": "a calm sea"}
DINO_SIZES = ((224, 224), (224, 298), (397, 224), (224, 225))
MUSIQ_SIZES = ((64, 64), (145, 201), (288, 512), (512, 291))
AMT_SIZES = ((128, 128), (144, 208))


def make_clips():
    """Draw and encode the three clips."""
    import av

    for number, (name, (frames, height, width, fps)) in enumerate(CLIPS.items()):
        random = np.random.RandomState(number)
        coarse = torch.from_numpy(random.random_sample((1, 3, 12, 20)).astype(np.float32))
        size = (height + 40, width + 80)
        world = torch.nn.functional.interpolate(coarse, size, mode="bicubic").clamp(0, 1)[0].permute(1, 2, 0).numpy()
        with av.open(str(HERE / f"{name}.mp4"), "w") as file:
            stream = file.add_stream("libx264", rate=fps, options={"crf": "23", "preset": "veryslow"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p" if name == "b" else "yuv420p"
            for t in range(frames):
                left, top = (4 * t, t) if name != "c" else (t // 3, 0)
                frame = (255 * world[top : top + height, left : left + width]).astype(np.uint8).copy()
                x, y = 10 + 7 * t, 20 + 5 * t
                frame[y : y + 40, x : x + 40] = (200, 30 + 8 * t, 40)
                for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                    file.mux(packet)
            for packet in stream.encode(None):
                file.mux(packet)


def shape_of(state):
    return {name: list(value.shape) for name, value in state.items()}


def digest(state):
    lines = "".join(f"{name} {list(value.shape)}\n" for name, value in sorted(state.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def seeded_into(network):
    network.load_state_dict({name: seeded(name, value.shape) for name, value in network.state_dict().items()})
    return network.eval()


def numbers(tensor, count=12):
    """Some values of a tensor, evenly over it."""
    flat = tensor.detach().flatten().double()
    return flat[torch.linspace(0, len(flat) - 1, min(count, len(flat))).long()].tolist()


def dino_class(folder):
    """The class in DINO's vision_transformer.py; its `utils` only initialises."""
    utils = types.ModuleType("utils")
    utils.trunc_normal_ = torch.nn.init.trunc_normal_
    sys.modules["utils"] = utils
    module = types.ModuleType("dino_vision_transformer")
    exec((folder / "vision_transformer.py").read_text(), module.__dict__)
    del sys.modules["utils"]
    norm = partial(torch.nn.LayerNorm, eps=1e-6)
    return partial(module.VisionTransformer, patch_size=16, mlp_ratio=4, qkv_bias=True, norm_layer=norm)


def import_musiq(folder):
    """pyiqa's MUSIQ without the rest of pyiqa, whose __init__ wants far more than this file needs."""
    for name in ("pyiqa", "pyiqa.archs", "pyiqa.data", "pyiqa.utils"):
        module = types.ModuleType(name)
        module.__path__ = [str(folder / name.replace(".", "/"))]
        sys.modules[name] = module
    from pyiqa.archs.musiq_arch import MUSIQ

    return MUSIQ


def tiny_clip(clip, patch):
    """An original CLIP with few layers, and features of 768 numbers as LAION's head takes them."""
    return clip.model.CLIP(
        embed_dim=768, image_resolution=224, vision_layers=2, vision_width=128, vision_patch_size=patch,
        context_length=8, vocab_size=16, transformer_width=64, transformer_heads=1, transformer_layers=1,
    )  # fmt: skip


def loaded_clip(clip, path):
    """As clip.load does on a CPU, whose way to a file of torch.save fails: it reads on where torch.jit stopped."""
    return clip.model.build_model(torch.load(path)).float().eval()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--clips", action="store_true")
    for name in ("vbench", "iqa", "dino"):
        arguments.add_argument(f"--{name}", type=Path)
    given = arguments.parse_args()
    if given.clips:
        make_clips()
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as cache:
        told = measure(given, Path(cache))
    (HERE / "numbers.json").write_text(json.dumps(told, indent=1) + "\n")


def measure(given, cache):
    import clip

    merges = Path(clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz")
    os.environ["VBENCH_CACHE_DIR"] = str(cache)
    (cache / "ViCLIP").mkdir()
    shutil.copy(merges, cache / "ViCLIP")
    sys.path.insert(0, str(given.vbench))
    musiq_class, dino = import_musiq(given.iqa), dino_class(given.dino)
    import vbench.third_party.ViCLIP.viclip as viclip
    from easydict import EasyDict
    from omegaconf import OmegaConf
    from vbench import dynamic_degree, motion_smoothness
    from vbench.third_party.amt.utils.build_utils import build_from_cfg
    from vbench.third_party.RAFT.core.raft import RAFT
    from vbench.third_party.ViCLIP.viclip_text import CLIP_TEXT
    from vbench.third_party.ViCLIP.viclip_vision import VisionTransformer

    amt_config = given.vbench / "vbench/third_party/amt/cfgs/AMT-S.yaml"
    amt_class = partial(build_from_cfg, OmegaConf.load(amt_config).network)
    raft_options = {"small": False, "mixed_precision": False, "alternate_corr": False}
    full = {
        "dino": digest(dino(embed_dim=768, depth=12, num_heads=12).state_dict()),
        "musiq": digest(musiq_class(pretrained=False).state_dict()),
        "amt": digest(amt_class().state_dict()),
        "viclip": digest(viclip.ViCLIP(pretrain=None).state_dict()),
    }
    viclip.clip_joint_l14 = lambda **_: VisionTransformer(224, 14, 128, 2, 2, output_dim=64).eval()
    viclip.clip_text_l14 = lambda **_: CLIP_TEXT(64, 32, 49408, 64, 1, 2, 0).eval()
    networks = {
        "dino": dino(embed_dim=128, depth=2, num_heads=2),
        "clip": tiny_clip(clip, 32),
        "clip_large": tiny_clip(clip, 14),
        "aesthetic": torch.nn.Linear(768, 1),
        "musiq": musiq_class(pretrained=False, hidden_size=48, mlp_dim=96, num_layers=2),
        "raft": RAFT(EasyDict(raft_options)),
        "amt": amt_class(),
        "viclip": viclip.ViCLIP(pretrain=None),
    }
    shapes = {name: shape_of(network.state_dict()) for name, network in networks.items()}
    write_cache(cache, shapes, merges)
    for network in networks.values():
        seeded_into(network)
    networks["musiq"].training = False
    with torch.no_grad():
        outputs = network_outputs(networks)
    videos = {name: str(HERE / f"{name}.mp4") for name in CLIPS}
    loaded = {
        "clip": loaded_clip(clip, cache / FILES["clip"]),
        "clip_large": loaded_clip(clip, cache / FILES["clip_large"]),
        "viclip": viclip.ViCLIP(pretrain=str(cache / FILES["viclip"])),
        "dynamic": dynamic_degree.DynamicDegree(EasyDict({"model": str(cache / FILES["raft"]), **raft_options}), "cpu"),
        "smooth": motion_smoothness.MotionSmoothness(str(amt_config), str(cache / FILES["amt"]), torch.device("cpu")),
    }
    loaded["aesthetic"] = torch.nn.Linear(768, 1)
    loaded["aesthetic"].load_state_dict(torch.load(cache / FILES["aesthetic"]))
    return {
        "recipe": "tests/golden/vbench/recipe.py",
        "torch": torch.__version__,
        "prompts": PROMPTS,
        "full": full,
        "outputs": outputs,
        **dimension_values(networks, loaded, videos),
        "shapes": shapes,
    }


def network_outputs(networks):
    """A few values of what each network gives for seeded pictures."""
    found = {"dino": [numbers(networks["dino"](pictures(2, *size) * 2 - 1)) for size in DINO_SIZES]}
    found["musiq"] = [numbers(networks["musiq"](pictures(2, *size))) for size in MUSIQ_SIZES]
    half = torch.full((1, 1, 1, 1), 0.5)
    found["amt"] = []
    for size in AMT_SIZES:
        first, second = pictures(2, *size).split(1)
        found["amt"].append(numbers(networks["amt"](first, second, half, scale_factor=1.0, eval=True)["imgt_pred"]))
    first, second = (255 * pictures(2, 128, 168)).split(1)
    found["raft"] = numbers(networks["raft"](first, second, iters=20, test_mode=True)[1])
    clip = pictures(8, 224, 224) * 2 - 1
    found["viclip"] = numbers(networks["viclip"].encode_vision(clip[None], test=True))
    found["viclip_text"] = [numbers(networks["viclip"].encode_text(text)) for text in PROMPTS.values()]
    return found


def dimension_values(networks, loaded, videos):
    """Each dimension as VBench's functions give it: of the three clips together, and of each."""
    from vbench import (
        aesthetic_quality,
        background_consistency,
        dynamic_degree,
        imaging_quality,
        motion_smoothness,
        overall_consistency,
        subject_consistency,
        temporal_flickering,
    )

    paths = list(videos.values())
    asked = [{"prompt": PROMPTS[name], "video_list": [path]} for name, path in videos.items()]
    with torch.no_grad():
        results = {
            "subject_consistency": subject_consistency.subject_consistency(networks["dino"], paths, "cpu", False),
            "background_consistency": background_consistency.background_consistency(
                loaded["clip"], None, paths, "cpu", False
            ),
            "aesthetic_quality": aesthetic_quality.laion_aesthetic(
                loaded["aesthetic"], loaded["clip_large"], paths, "cpu"
            ),
            "imaging_quality": imaging_quality.technical_quality(networks["musiq"], paths, "cpu"),
            "temporal_flickering": temporal_flickering.temporal_flickering(paths),
            "motion_smoothness": motion_smoothness.motion_smoothness(loaded["smooth"], paths),
            "dynamic_degree": dynamic_degree.dynamic_degree(loaded["dynamic"], paths),
            "overall_consistency": overall_consistency.overall_consistency(
                loaded["viclip"], asked, None, "cpu", "middle"
            ),
        }
        motions = [pair_motions(loaded["dynamic"], path) for path in paths]
    names = list(videos)
    return {
        "suite": {name: float(result[0]) for name, result in results.items()},
        "clips": {
            name: {clip: float(one["video_results"]) for clip, one in zip(names, result[1], strict=True)}
            for name, result in results.items()
        },
        "motions": dict(zip(names, motions, strict=True)),
    }


def pair_motions(dynamic, path):
    """What VBench's dynamic degree compares with its threshold."""
    from vbench.third_party.RAFT.core.utils_core.utils import InputPadder

    frames, found = dynamic.get_frames(path), []
    for first, second in itertools.pairwise(frames):
        first, second = InputPadder(first.shape).pad(first, second)
        found.append(dynamic.get_score(first, dynamic.model(first, second, iters=20, test_mode=True)[1]))
    return found


if __name__ == "__main__":
    main()
