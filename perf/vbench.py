"""How fast VBench's eight dimensions are against VBench's own modules. Goals, none of them shown yet: see GOALS.

`--networks identity`: every network on both sides gives back a part of what it was given, so that what is timed is
decoding, resizing, padding, conversions and formulas. `--networks seeded`: the published architectures with seeded
weights, the same files on both sides; goal: not slower on two 256 x 256 clips; on a GPU, ten clips of 1280 x 720,
3 times as fast. The clips are drawn and encoded first. Each system is a process of its own; timed is the scoring of
all clips, without imports, without loading weights, and without a first clip that is not counted. TF32 is off.
Values of both systems are compared: they must agree within 1e-4 (identity: only where networks play no part).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SYSTEMS = ("openuni", "vbench")
GOALS = {("identity", "cpu"): 4.0, ("seeded", "cpu"): 1.0, ("seeded", "cuda"): 3.0}
CLIPS = {"identity": (4, 49, 480, 832), "seeded": (2, 17, 256, 256)}
"""Networks -> clips, frames, height, width."""
FPS = 16
PROMPT = "a square moves over a wall"
HOW = (
    "Pass --vbench, --iqa and --dino, checkouts of github.com/Vchitect/VBench, chaofengc/IQA-PyTorch and "
    "facebookresearch/dino, and --python, the interpreter of an environment with openuni's requirements and "
    "openai-clip, timm, einops, omegaconf, easydict, imageio, setuptools<80."
)


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, epilog=HOW, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("vbench", "iqa", "dino", "python"):
        arguments.add_argument(f"--{name}", type=Path)
    arguments.add_argument("--networks", choices=("identity", "seeded"), default="identity")
    arguments.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments.add_argument("--clips", type=int, help="how many")
    arguments.add_argument("--size", type=int, nargs=3, metavar=("FRAMES", "HEIGHT", "WIDTH"))
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--timed", nargs=2, metavar=("SYSTEM", "FOLDER"), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.timed:
        timed(given, given.timed[0], Path(given.timed[1]))
        return
    if not (given.vbench and given.iqa and given.dino and given.python):
        arguments.error(HOW)
    compare(given)


def compare(given: argparse.Namespace) -> None:
    """Run both systems in turns and record."""
    from record import record

    count, *size = CLIPS[given.networks]
    count, size = given.clips or count, given.size or size
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder, "clips"), count + 1, *size)
        if given.networks == "seeded":
            run_in(given, "weights", Path(folder))
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in SYSTEMS}
        for _ in range(given.repeats):
            for name in SYSTEMS:
                runs[name].append(run_in(given, name, Path(folder)))
    best = {name: min(runs[name], key=lambda one: one["wall_s"]) for name in SYSTEMS}
    cpu = {name: min(runs[name], key=lambda one: one["cpu_s"])["cpu_s"] for name in SYSTEMS}
    differ = differences(best["openuni"]["values"], best["vbench"]["values"], given.networks)
    frames, height, width = size
    record(
        f"vbench_{given.networks}_{given.device}",
        networks=given.networks,
        device=best["openuni"]["device"],
        clips=count,
        size=f"{frames} frames of {width}x{height}",
        repeats=given.repeats,
        goal=GOALS.get((given.networks, given.device)),
        wall_s={name: best[name]["wall_s"] for name in SYSTEMS},
        cpu_s=cpu,
        times_as_fast={
            "wall": best["vbench"]["wall_s"] / best["openuni"]["wall_s"],
            "cpu": cpu["vbench"] / cpu["openuni"],
        },
        by_dimension_s=best["vbench"]["parts"],
        largest_difference=differ,
    )


def differences(ours: dict[str, list[float]], theirs: dict[str, list[float]], networks: str) -> dict[str, float]:
    """Largest difference of the systems' values, by dimension; with identity only flickering has the same meaning."""
    names = ["temporal_flickering"] if networks == "identity" else list(theirs)
    return {name: max(abs(a - b) for a, b in zip(ours[name], theirs[name], strict=True)) for name in names}


def run_in(given: argparse.Namespace, system: str, folder: Path) -> dict[str, Any]:
    """Run one system in a process of its own."""
    command = [str(given.python if system != "openuni" else sys.executable), __file__, "--timed", system, str(folder)]
    for name in ("vbench", "iqa", "dino"):
        command += [f"--{name}", str(getattr(given, name).absolute())]
    command += ["--networks", given.networks, "--device", given.device]
    environment = {**os.environ, "VBENCH_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{system} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def draw(folder: Path, count: int, frames: int, height: int, width: int) -> None:
    """Encode clips of a moving texture with a square."""
    import av
    import numpy as np

    folder.mkdir()
    for number in range(count):
        random = np.random.default_rng(number)
        small = random.integers(0, 256, (height // 16 + 9, width // 16 + 9, 3), dtype=np.uint8)
        world = small.repeat(16, axis=0).repeat(16, axis=1)
        with av.open(str(folder / f"{number}.mp4"), "w") as file:
            stream = file.add_stream("libx264", rate=FPS, options={"crf": "18"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for t in range(frames):
                frame = np.ascontiguousarray(world[t : t + height, 2 * t % 128 : 2 * t % 128 + width])
                frame[height // 3 : height // 2, 3 * t % (width // 2) : 3 * t % (width // 2) + 40] = (220, 40, 30)
                for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                    file.mux(packet)
            for packet in stream.encode(None):
                file.mux(packet)


def timed(given: argparse.Namespace, system: str, folder: Path) -> None:
    """In a process of its own: score the clips and print times and values as JSON."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if system == "weights":
        write_weights(given, folder / "cache")
        print("{}")
        return
    clips = sorted((folder / "clips").iterdir(), key=lambda path: int(path.stem))
    score = ours(given) if system == "openuni" else theirs(given)
    parts: dict[str, float] = {}
    score(clips[:1], {})
    wall, cpu = time.perf_counter(), time.process_time()
    values = score(clips[1:], parts)
    about = {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "device": torch.cuda.get_device_name() if given.device == "cuda" else "cpu",
        "parts": parts,
        "values": values,
    }
    print(json.dumps(about))


def ours(given: argparse.Namespace) -> Any:
    """Return what scores clips by openuni."""
    from openuni.benchmark.vbench.dimensions import COMPUTED
    from openuni.benchmark.vbench.frames import ClipFrames, read_video
    from openuni.benchmark.vbench.scorer import Scorer

    scorer = Scorer(device=given.device)
    if given.networks == "identity":
        give_identity(scorer)

    def score(clips: list[Path], _: dict[str, float]) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {name: [] for name in COMPUTED}
        for path in clips:
            clip = ClipFrames(content=path.name, read=lambda path=path: read_video(path))
            for name, one in scorer.score(clip, prompt=PROMPT).items():
                found[name].append(one.value if one.value is not None else float("nan"))
        return found

    return score


def give_identity(scorer: Any) -> None:
    """Put something that gives back what it gets in the place of each network."""
    from types import SimpleNamespace

    import numpy as np
    import torch

    from openuni.benchmark.vbench.scorer import FEATURES
    from openuni.table import load

    scorer.missing.clear()
    for name in FEATURES:
        scorer._loaded[name] = load("feature", FEATURES, name)(scorer.device)

    def some(pixels: Any, _: Any) -> Any:
        return pixels.flatten(1)[:, :768]

    for name in ("dino", "clip", "aesthetic"):
        scorer._loaded[name].network = SimpleNamespace(features=some)
    scorer._loaded["aesthetic"].head = torch.nn.Linear(768, 1)
    scorer._loaded["musiq"].network = lambda pictures: pictures.mean(dim=(1, 2, 3))
    scorer._loaded["raft"].network = lambda first, second, num_flow_updates: [first[:, :2]]
    scorer._loaded["amt"].network = lambda first, second: first
    viclip = scorer._loaded["viclip"]
    viclip.network = SimpleNamespace(vision_encoder=lambda pixels: pixels.flatten(1)[:, :768])
    viclip.text = lambda prompt: np.ones(768, np.float32)


def recipe(given: argparse.Namespace) -> Any:
    """Import the recipe of the committed numbers, which knows how to get at the originals."""
    sys.path[:0] = [str(ROOT / "tests/golden/vbench"), str(given.vbench)]
    import recipe

    return recipe


def write_weights(given: argparse.Namespace, cache: Path) -> None:
    """Write seeded weights of the published sizes where both systems look for them."""
    import clip

    made = recipe(given)
    merges = Path(clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz")
    (cache / "ViCLIP").mkdir(parents=True)
    shutil.copy(merges, cache / "ViCLIP")
    from easydict import EasyDict
    from omegaconf import OmegaConf

    musiq, dino = made.import_musiq(given.iqa), made.dino_class(given.dino)
    from vbench.third_party.amt.utils.build_utils import build_from_cfg
    from vbench.third_party.RAFT.core.raft import RAFT
    from vbench.third_party.ViCLIP.viclip import ViCLIP

    b32 = clip.model.CLIP(512, 224, 12, 768, 32, 77, 16, 64, 1, 1)
    l14 = clip.model.CLIP(768, 224, 24, 1024, 14, 77, 16, 64, 1, 1)
    import torch

    networks = {
        "dino": dino(embed_dim=768, depth=12, num_heads=12),
        "clip": b32,
        "clip_large": l14,
        "aesthetic": torch.nn.Linear(768, 1),
        "musiq": musiq(pretrained=False),
        "raft": RAFT(EasyDict(RAFT_OPTIONS)),
        "amt": build_from_cfg(OmegaConf.load(given.vbench / AMT_CONFIG).network),
        "viclip": ViCLIP(pretrain=None),
    }
    made.write_cache(cache, {name: made.shape_of(one.state_dict()) for name, one in networks.items()}, merges)


RAFT_OPTIONS = {"small": False, "mixed_precision": False, "alternate_corr": False}
AMT_CONFIG = "vbench/third_party/amt/cfgs/AMT-S.yaml"


def theirs(given: argparse.Namespace) -> Any:
    """Return what scores clips by VBench's functions, dimension after dimension as VBench does."""
    made = recipe(given)
    cache = Path(os.environ["VBENCH_CACHE_DIR"])
    if given.networks == "identity":
        import clip

        (cache / "ViCLIP").mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz"), cache / "ViCLIP")
    made.import_musiq(given.iqa)
    networks = identity_networks() if given.networks == "identity" else seeded_networks(given, made, cache)
    import torch
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

    device = torch.device(given.device)

    def score(clips: list[Path], parts: dict[str, float]) -> dict[str, list[float]]:
        paths = [str(path) for path in clips]
        asked = [{"prompt": PROMPT, "video_list": paths}]
        calls = {
            "subject_consistency": lambda: subject_consistency.subject_consistency(
                networks["dino"], paths, device, False
            ),
            "background_consistency": lambda: background_consistency.background_consistency(
                networks["clip"], None, paths, device, False
            ),
            "aesthetic_quality": lambda: aesthetic_quality.laion_aesthetic(
                networks["aesthetic"], networks["clip_large"], paths, device
            ),
            "imaging_quality": lambda: imaging_quality.technical_quality(networks["musiq"], paths, device),
            "temporal_flickering": lambda: temporal_flickering.temporal_flickering(paths),
            "motion_smoothness": lambda: motion_smoothness.motion_smoothness(networks["smooth"], paths),
            "dynamic_degree": lambda: dynamic_degree.dynamic_degree(networks["dynamic"], paths),
            "overall_consistency": lambda: overall_consistency.overall_consistency(
                networks["viclip"], asked, None, device, "middle"
            ),
        }
        found = {}
        with torch.no_grad():  # VBench itself keeps gradients in two of them, which would only slow it down
            for name, call in calls.items():
                start = time.perf_counter()
                scale = 100 if name == "imaging_quality" else 1
                found[name] = [float(one["video_results"]) / scale for one in call()[1]]
                parts[name] = time.perf_counter() - start
        return found

    return score


def identity_networks() -> dict[str, Any]:
    from types import SimpleNamespace

    import torch
    from vbench import dynamic_degree, motion_smoothness

    def some(pixels: Any) -> Any:
        return pixels.flatten(1)[:, :768]

    dynamic = object.__new__(dynamic_degree.DynamicDegree)
    dynamic.device = torch.device("cpu")
    dynamic.model = lambda first, second, iters, test_mode: (None, first[:, :2])
    smooth = object.__new__(motion_smoothness.MotionSmoothness)
    smooth.device, smooth.niters = torch.device("cpu"), 1
    smooth.initialization()
    smooth.model = lambda first, second, *_, **__: {"imgt_pred": first}
    clip = SimpleNamespace(encode_image=some, eval=lambda: None)
    return {
        "dino": some,
        "clip": clip,
        "clip_large": clip,
        "aesthetic": torch.nn.Linear(768, 1),
        "musiq": lambda frame: frame.mean(),
        "dynamic": dynamic,
        "smooth": smooth,
        "viclip": SimpleNamespace(
            encode_vision=lambda pixels, test: pixels.flatten(1)[:, :768], encode_text=lambda text: torch.ones(1, 768)
        ),
    }


def seeded_networks(given: argparse.Namespace, made: Any, cache: Path) -> dict[str, Any]:
    import clip
    import torch
    from easydict import EasyDict
    from vbench import dynamic_degree, motion_smoothness
    from vbench.third_party.ViCLIP.viclip import ViCLIP

    device = torch.device(given.device)

    def filled(network: Any, name: str) -> Any:
        network.load_state_dict(torch.load(cache / made.FILES[name]))
        return network.eval().to(device)

    musiq = filled(made.import_musiq(given.iqa)(pretrained=False), "musiq")
    musiq.training = False
    raft = EasyDict({"model": str(cache / made.FILES["raft"]), **RAFT_OPTIONS})
    amt = str(given.vbench / AMT_CONFIG), str(cache / made.FILES["amt"])
    return {
        "dino": filled(made.dino_class(given.dino)(embed_dim=768, depth=12, num_heads=12), "dino"),
        "clip": made.loaded_clip(clip, cache / made.FILES["clip"]).to(device),
        "clip_large": made.loaded_clip(clip, cache / made.FILES["clip_large"]).to(device),
        "aesthetic": filled(torch.nn.Linear(768, 1), "aesthetic"),
        "musiq": musiq,
        "dynamic": dynamic_degree.DynamicDegree(raft, device),
        "smooth": motion_smoothness.MotionSmoothness(*amt, device),
        "viclip": ViCLIP(pretrain=str(cache / made.FILES["viclip"])).to(device).eval(),
    }


if __name__ == "__main__":
    main()
