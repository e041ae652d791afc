"""Predictions of two systems to the same prompts, written as a bench writes them."""

import numpy as np

from openuni.benchmark.predictions import prediction_folder, write_prediction
from openuni.generator import Answer, Ask


def write_system(out, name, level, prompts, *, samples=1, frames=4):
    """Gray clips of one level for each prompt."""
    for number, (sample, caption) in enumerate(prompts.items()):
        for one in range(samples):
            rgb = np.full((frames, 32, 48, 3), level + number, np.uint8)
            ask = Ask(
                task="text", modality="rgb", sample=sample, caption=caption, num_frames=frames, height=32, width=48,
                fps=8.0, number=one, any_size=True,
            )  # fmt: skip
            folder = prediction_folder(out, "text", "rgb", sample, one)
            write_prediction(folder, ask, Answer(rgb=rgb), key="k", system=name)
    return out
