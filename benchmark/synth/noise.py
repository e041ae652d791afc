"""Numbers from hashes and tileable noise: the same for ever, whatever numpy's generators do.

Textures and rocks of the frozen UniBench set are made from these, so they may not depend on a library's version.
"""

import numpy as np


def hashed(*keys: np.ndarray | int) -> np.ndarray:
    """Hash integers to numbers in [0, 1); arrays broadcast. splitmix64's mixing (Steele, Lea, Flood 2014)."""
    state = np.zeros(np.broadcast_shapes(*(np.shape(key) for key in keys)), np.uint64)
    with np.errstate(over="ignore"):
        for key in keys:
            state = state + np.asarray(key, np.int64).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return (state >> np.uint64(11)).astype(np.float64) / 2.0**53


def tile_noise(size: int, *, cells: int, octaves: int, seed: int, stretch: int = 1) -> np.ndarray:
    """Value noise that tiles.

    Args:
        size: side of the result in texels.
        cells: lattice cells across in the first octave; doubled in each further one, whose weight is halved.
        octaves: how many.
        seed: which noise.
        stretch: cells down are cells / stretch: wood grain is long.

    Returns:
        (size, size) float64 in 0..1.
    """
    total, weight = np.zeros((size, size)), 0.0
    for octave in range(octaves):
        across, down = cells * 2**octave, max(1, cells * 2**octave // stretch)
        lattice = hashed(seed, octave, np.arange(down)[:, None], np.arange(across)[None])
        total += _stretched(lattice, size) * 0.5**octave
        weight += 0.5**octave
    return total / weight


def _stretched(lattice: np.ndarray, size: int) -> np.ndarray:
    """Interpolate a periodic lattice smoothly to (size, size)."""
    for axis in range(2):
        count = lattice.shape[axis]
        at = np.arange(size) * count / size
        low = np.floor(at).astype(int)
        part = at - low
        part = part * part * (3 - 2 * part)
        part = part[:, None] if axis == 0 else part[None]
        first, second = np.take(lattice, low % count, axis=axis), np.take(lattice, (low + 1) % count, axis=axis)
        lattice = first * (1 - part) + second * part
    return lattice
