"""Draws: random numbers that depend on what they are for, not on who draws them.

Each is keyed by (seed, step, global sample index, purpose): the same for any number of ranks, workers or resumes, and
for any order of drawing. Philox (Salmon et al. 2011) is a counter generator made for this; numpy's.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class Draws:
    """The random numbers of one sample of one step."""

    def __init__(self, seed: int, step: int, sample: int) -> None:
        """Name the sample.

        Args:
            seed: of the run.
            step: of training, from 0.
            sample: its index in the global batch of the step.
        """
        self._key = (seed, step, sample)

    def generator(self, purpose: str) -> np.random.Generator:
        """A generator of its own for each purpose ("task", "noise.rgb"), so that one draw more changes no other."""
        return np.random.Generator(np.random.Philox(key=np.frombuffer(self._hash(purpose), dtype=np.uint64)))

    def uniform(self, purpose: str) -> float:
        """A number in [0, 1): 53 bits of the hash itself, which are as good as a generator's and 20 times as cheap."""
        return (int.from_bytes(self._hash(purpose)[:8], "little") >> 11) * 2.0**-53

    def _hash(self, purpose: str) -> bytes:
        text = "/".join([*map(str, self._key), purpose])
        return hashlib.blake2b(text.encode(), digest_size=16).digest()

    def normal(self, purpose: str) -> float:
        """A standard normal number."""
        return float(self.generator(purpose).standard_normal())

    def choice(self, purpose: str, weights: dict[str, float]) -> str:
        """One of the names, with probabilities in proportion to their weights."""
        names = list(weights)
        total = sum(weights.values())
        left = self.uniform(purpose) * total
        for name in names:
            left -= weights[name]
            if left < 0:
                return name
        return names[-1]

    def noise(self, purpose: str, shape: tuple[int, ...]) -> Tensor:
        """Standard normal float32 of a shape."""
        return torch.from_numpy(self.generator(purpose).standard_normal(shape, dtype=np.float32))

    def seed(self, purpose: str) -> int:
        """A seed for another library's generator, below 2^63."""
        return int.from_bytes(self._hash(purpose)[:8], "little") >> 1


def noise_of(draws: Sequence[Draws], purpose: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Standard normal noise of a batch, (B, *shape) float32 on the device, each sample's from its own draws.

    On a GPU the numbers are its own generator's, seeded for each sample: others than a CPU's, and as repeatable. Drawn
    on the CPU they would take longer than a small network's whole step.
    """
    if device.type == "cpu":
        return torch.stack([one.noise(purpose, shape) for one in draws])
    out = torch.empty((len(draws), *shape), device=device)
    generator = torch.Generator(device)
    for one, place in zip(draws, out, strict=True):
        place.normal_(generator=generator.manual_seed(one.seed(purpose)))
    return out
