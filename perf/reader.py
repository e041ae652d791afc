"""Claim: a trainer that reads frames with decord spends less CPU than with PyAV, for about one level of darkness.

Reads every sample of a build with both decoders, in turns, one thread. Without --build, clips are rendered and stored
first.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from record import record

CLIPS, FRAMES, HEIGHT, WIDTH = 4, 49, 480, 832


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--build", type=Path, help="a build's folder")
    arguments.add_argument("--repeats", type=int, default=3)
    given = arguments.parse_args()
    contents = from_build(given.build) if given.build else rendered()
    from openuni.video import decode_rgb, decode_rgb_decord

    seconds: dict[str, list[float]] = {"pyav": [], "decord": []}
    for _ in range(given.repeats):
        for name, decode in (("pyav", lambda content: decode_rgb(content).frames), ("decord", decode_rgb_decord)):
            started = time.process_time()
            for content in contents:
                decode(content)
            seconds[name].append(time.process_time() - started)
    pairs = [(decode_rgb(content).frames.astype(int), decode_rgb_decord(content)) for content in contents]
    frames = sum(len(exact) for exact, _ in pairs)
    darker = float(np.mean([(exact - cheap).mean() for exact, cheap in pairs]))
    apart = float(np.mean([np.abs(exact - cheap).mean() for exact, cheap in pairs]))
    ms = {name: 1000 * float(np.median(values)) / frames for name, values in seconds.items()}
    print(f"PyAV {ms['pyav']:.1f} ms a frame, decord {ms['decord']:.1f} ms, ratio {ms['pyav'] / ms['decord']:.2f}")
    print(f"decord is {darker:.2f} levels of 255 darker (mean difference {apart:.2f})")
    record(
        "reader",
        samples=len(contents),
        frames=frames,
        built=given.build is not None,
        cpu_ms_per_frame={name: round(value, 2) for name, value in ms.items()},
        ratio=round(ms["pyav"] / ms["decord"], 2),
        levels_darker=round(darker, 2),
        mean_difference=round(apart, 2),
    )


def from_build(folder: Path) -> list[bytes]:
    import pyarrow.parquet as pq

    from openuni.shard import Span, read_sample

    rows = pq.read_table(folder / "index.parquet").to_pylist()
    return [read_sample(folder / row["rgb.shard"], Span(row["rgb.offset"], row["rgb.size"]))["mp4"] for row in rows]


def rendered() -> list[bytes]:
    from openuni.benchmark.synth.boxes import scene
    from openuni.video import encode_rgb_mp4

    scenes = [scene(seed, num_frames=FRAMES, height=HEIGHT, width=WIDTH, num_movers=2) for seed in range(CLIPS)]
    return [encode_rgb_mp4(made.rgb, fps=made.fps) for made in scenes]


if __name__ == "__main__":
    main()
