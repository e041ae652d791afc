"""Measure what the text filter costs a clip, beside all model-free filters, and what it finds at which work size.

    OMP_NUM_THREADS=1 python perf/text_filter.py

CPU seconds of this process on made 720p clips of 5 s (10 samples, 3 stills), decoded before. Found: share of a drawn
subtitle's area that is under text boxes, by height of its letters, over made scenery.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from record import record

from openuni.clip import Clip
from openuni.pipelines.filters.text import TextFilter, text_mask
from openuni.pipelines.parts import make_filters
from openuni.pipelines.score_view import OpenForScoring, ScoreView
from openuni.video import encode_rgb_mp4

HEIGHT, WIDTH, FPS, FRAMES = 720, 1280, 10, 50
SIZES_PX = (256, 320, 384, 480)
LETTERS = (0.015, 0.02, 0.025, 0.03, 0.04, 0.06)  # of the picture's height: the font's nominal size
SUBTITLE = "What did you see there?"
REPEATS = 3


def main() -> None:
    cv2.setNumThreads(1)  # as in workers
    text, by_size = TextFilter(), {size: text_at(size) for size in SIZES_PX}
    text.setup()
    with tempfile.TemporaryDirectory() as folder:
        views = {name: make_view(Path(folder), name) for name in ("no text", "subtitle", "page")}
        costs = {name: cost_of(text, view) for name, view in views.items()}
        per_still = {size: cost_of(stage, views["no text"]) / 3 for size, stage in by_size.items()}
        filters = [stage for stage in make_filters(["all"], {}) if stage.name != "text"]
        for stage in filters:
            stage.setup()
        free = {stage.name: cost_of(stage, views["no text"]) for stage in filters}
    for name, seconds in costs.items():
        print(f"text, {name}: {seconds:.2f} CPU-s a clip, {seconds / 3:.2f} a still")
    print(f"all {len(filters)} model-free filters: {sum(free.values()):.3f} CPU-s a clip")
    found = {size: {letters: found_share(stage, letters) for letters in LETTERS} for size, stage in by_size.items()}
    for size in SIZES_PX:
        shares = ", ".join(f"{100 * letters:g} %: {share:.2f}" for letters, share in found[size].items())
        print(f"short side {size} px: {per_still[size]:.2f} CPU-s a still; found by height of letters: {shares}")
    record(
        "text_filter",
        text_cpu_s_per_clip={name: round(seconds, 3) for name, seconds in costs.items()},
        text_cpu_s_per_still={name: round(seconds / 3, 3) for name, seconds in costs.items()},
        text_cpu_s_per_still_by_short_side_px={str(size): round(seconds, 3) for size, seconds in per_still.items()},
        model_free_cpu_s_per_clip=round(sum(free.values()), 4),
        model_free_cpu_s_by_filter={name: round(seconds, 4) for name, seconds in free.items()},
        found_by_short_side_px_and_letter_height=found,
    )


def text_at(size: int) -> TextFilter:
    """Return the filter at another work size, set up."""
    stage = TextFilter(short_side_px=size)
    stage.setup()
    return stage


def cost_of(stage: Any, view: Any) -> float:
    """Return the least CPU seconds of REPEATS calls: other load on the machine only adds."""
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        stage(view)
        seconds.append(time.process_time() - started)
    return min(seconds)


def make_view(folder: Path, name: str) -> ScoreView:
    """Encode a clip, and open and decode it as the score pass does."""
    frames = np.stack([scenery(1, HEIGHT, WIDTH, shift=8 * number) for number in range(FRAMES)])
    if name == "page":
        frames[:] = 245
    for frame in frames:
        if name == "subtitle":
            write(frame, SUBTITLE, size_px=32, at=(WIDTH // 2, 660))
        for y in range(40, HEIGHT - 20, 30) if name == "page" else ():
            write(frame, "clips frames score text picture share mean still boxes area", size_px=18, at=(WIDTH // 2, y))
    path = folder / f"{name}.mp4"
    path.write_bytes(encode_rgb_mp4(frames, fps=FPS, crf=23))
    clip = Clip(clip_id="0", source="folder", source_key=name, source_video=name, path=path.name)
    view = OpenForScoring(str(folder))(clip)
    assert len(view.stills.rgb) == 3 and len(view.frames.rgb) == 10 and len(view.pairs.rgb) > 0
    return view


def found_share(stage: TextFilter, letters: float) -> float:
    """Return the share of a subtitle's area that is under text boxes, mean over 4 sceneries."""
    shares = []
    for seed in range(4):
        large = scenery(seed, 960, 1708)
        left, top, right, bottom = write(large, SUBTITLE, size_px=round(letters * 960), at=(854, 860)) / 2
        still = cv2.resize(large, (854, 480), interpolation=cv2.INTER_AREA)
        mask = text_mask(stage.find_text(still), still.shape[:2])
        shares.append(mask[int(top) : int(bottom), int(left) : int(right)].mean())
    return round(float(np.mean(shares)), 3)


def scenery(seed: int, height: int, width: int, *, shift: int = 0) -> np.ndarray:
    """Return (height, width, 3) uint8: coloured texture of several sizes, moved to the left by `shift` px."""
    rng = np.random.default_rng(seed)
    wide = width + 512
    total = np.zeros((height, wide, 3), np.float32)
    for part, strength in ((7, 50.0), (30, 25.0), (90, 10.0)):
        size = height // part
        coarse = rng.normal(0, strength, (height // size + 2, wide // size + 2, 3)).astype(np.float32)
        total += cv2.resize(coarse, (wide, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(110 + total, 0, 255).astype(np.uint8)[:, shift : shift + width].copy()


def write(rgb: np.ndarray, words: str, *, size_px: int, at: tuple[int, int]) -> np.ndarray:
    """Write white words with a dark outline, centred; return left, top, right, bottom, px."""
    picture = Image.fromarray(rgb)
    draw = ImageDraw.Draw(picture)
    options: Any = {"font": ImageFont.load_default(size_px), "anchor": "mm", "stroke_width": max(1, size_px // 14)}
    draw.text(at, words, fill="white", stroke_fill="black", **options)
    rgb[:] = np.asarray(picture)
    return np.array(draw.textbbox(at, words, **options))


if __name__ == "__main__":
    main()
