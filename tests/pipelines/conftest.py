"""Real small clips for build tests: made once, with motion that is known."""

from pathlib import Path

import numpy as np
import pytest

from openuni.video import encode_rgb_mp4

FPS, SECONDS, HEIGHT, WIDTH = 8.0, 2, 96, 128


def sliding_texture(seed: int, *, px_per_frame: float = 2.0) -> np.ndarray:
    """Return (T, H, W, 3) uint8: a smooth random texture that moves to the right."""
    import cv2

    rng = np.random.default_rng(seed)
    frames = int(FPS * SECONDS) + 1
    margin = int(px_per_frame * frames) + 8
    # Grey: H.264 halves the resolution of colour, and the pictures are compared.
    texture = cv2.resize(rng.uniform(0, 255, (HEIGHT // 6, (WIDTH + margin) // 6)), (WIDTH + margin, HEIGHT))
    texture = np.repeat(texture[..., None], 3, axis=2)
    starts = [margin - round(px_per_frame * number) for number in range(frames)]
    return np.stack([texture[:, start : start + WIDTH] for start in starts]).round().astype(np.uint8)


@pytest.fixture(scope="session")
def clips_folder(tmp_path_factory) -> Path:
    """Four good clips, a broken one, a text file named .mp4 and a caption."""
    folder = tmp_path_factory.mktemp("clips")
    for seed in range(4):
        (folder / f"good_{seed}.mp4").write_bytes(encode_rgb_mp4(sliding_texture(seed), fps=FPS))
    (folder / "good_0.txt").write_text("A texture slides to the right.")
    (folder / "broken.mp4").write_bytes((folder / "good_1.mp4").read_bytes()[:400])
    (folder / "words.mp4").write_text("this is no video")
    return folder
