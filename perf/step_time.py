"""Claim: a training step of the two-stream network takes at most 1.05 times stock Wan's on the same tokens.

    OMP_NUM_THREADS=1 python perf/step_time.py [--shape tiny|wan_1_3b|wan_1_3b_480p] [--device cuda] [--steps 20]

Stock Wan sees one clip of twice the width, so that both have the same tokens; forward and backward, in turns. Two
streams encode two prompts and modulate twice, that is what more there is. `wan_1_3b` is 256 x 256 x 33 in bfloat16
and wants a GPU.
"""

import argparse
import statistics
import time

import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from record import record

from openuni.model.flops import tokens_of, training_flops
from openuni.model.launch import peak_flops
from openuni.model.network import Stream, UnityVideo
from openuni.model.presets import tiny_cpu, wan_1_3b

SHAPES = {
    "tiny": (tiny_cpu, (5, 16, 16), 64, 4),
    "wan_1_3b": (wan_1_3b, (9, 32, 32), 512, 8),
    "wan_1_3b_480p": (wan_1_3b, (21, 60, 104), 512, 1),
}
"""Preset, latent frames x height x width, prompt tokens, clips."""
GOAL = 1.05


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--shape", choices=SHAPES, default="tiny")
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--steps", type=int, default=20)
    given = arguments.parse_args()
    preset, size, prompt_tokens, batch = SHAPES[given.shape]
    options, device = dict(preset().network), torch.device(given.device)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    torch.manual_seed(0)
    unity = UnityVideo(**options).to(dtype).to(device)
    own = ("prediction", "modalities", "switcher", "in_context", "head", "time", "token_bias")
    stock = WanTransformer3DModel(**{k: v for k, v in options.items() if k not in own}).to(dtype).to(device)
    channels, text_dim = unity.arguments.in_channels, unity.arguments.text_dim
    rgb, other = (torch.randn(batch, channels, *size, device=device, dtype=dtype) for _ in range(2))
    text = torch.randn(batch, prompt_tokens, text_dim, device=device, dtype=dtype)
    t = torch.full((batch,), 0.5, device=device)
    modality = torch.zeros(batch, dtype=torch.int64, device=device)

    def two_streams() -> None:
        answers = unity([Stream(rgb, t, text), Stream(other, t, text, modality)])
        sum(answer.float().square().mean() for answer in answers).backward()
        unity.zero_grad()

    def one_canvas() -> None:
        answer = stock(torch.cat([rgb, other], dim=4), t * 1000, text, return_dict=False)[0]
        answer.float().square().mean().backward()
        stock.zero_grad()

    times: dict[str, list[float]] = {"two_streams": [], "stock": []}
    for step in range(given.steps + 2):
        for name, work in (("two_streams", two_streams), ("stock", one_canvas)):
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            start = time.perf_counter()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if step >= 2:  # the first ones allocate
                times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratio = medians["two_streams"] / medians["stock"]
    tokens = tokens_of(unity.arguments, size)
    flops = batch * training_flops(unity.arguments, [tokens] * 2, prompt_tokens=prompt_tokens)
    for name, seconds in medians.items():
        print(f"{name} {seconds:.4f} s")
    print(f"ratio {ratio:.3f}, goal <= {GOAL}")
    record(
        "step_time" if given.shape == "tiny" else f"step_time_{given.shape}",
        shape=given.shape,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        dtype=str(dtype),
        batch=batch,
        tokens_per_stream=tokens,
        steps=given.steps,
        seconds=medians,
        ratio=round(ratio, 4),
        goal=GOAL,
        tflop_per_step=flops / 1e12,
        tflop_per_s=flops / 1e12 / medians["two_streams"],
        mfu=flops / medians["two_streams"] / peak_flops(torch.cuda.get_device_name(device))
        if device.type == "cuda"
        else None,
    )


if __name__ == "__main__":
    main()
