"""Textures: square pictures that tile, made from hashes, with all their smaller sizes for sampling without aliasing."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from openuni.benchmark.synth.noise import hashed, tile_noise

SIZE = 512  # texels; a power of two


@dataclass(frozen=True, eq=False)
class Texture:
    """A picture and its halvings, 512 down to 1 texel, one behind the other."""

    texels: np.ndarray
    """(N, 3) float32, linear colour."""
    unrolled: bool
    """Laid around round things with their angle; else projected along the axes and blended."""

    def sample(self, place: np.ndarray, footprint: np.ndarray) -> np.ndarray:
        """Look up colours.

        Args:
            place: (N, 2) in tiles.
            footprint: (N,) side of what a pixel covers, in tiles: chooses the size of picture.

        Returns:
            (N, 3) float32, interpolated within and between two sizes.
        """
        level = np.clip(np.log2(np.maximum(footprint * SIZE, 1e-6)), 0, LEVELS - 1).astype(np.float32)
        low = level.astype(np.int32)
        part = (level - low)[:, None]
        fine = self._bilinear(place, low)
        mixed = np.flatnonzero(part[:, 0] > 0)
        coarse = self._bilinear(place[mixed], np.minimum(low[mixed] + 1, LEVELS - 1))
        fine[mixed] += (coarse - fine[mixed]) * part[mixed]
        return fine

    def _bilinear(self, place: np.ndarray, level: np.ndarray) -> np.ndarray:
        side = SIZE >> level
        at = place * side[:, None] - 0.5
        whole = np.floor(at)
        part = (at - whole).astype(np.float32)
        x, y = whole[:, 0].astype(np.int32), whole[:, 1].astype(np.int32)
        mask, first = side - 1, FIRST[level]
        x0, x1, y0, y1 = x & mask, (x + 1) & mask, first + (y & mask) * side, first + ((y + 1) & mask) * side
        across, down = part[:, :1], part[:, 1:]
        top, bottom = self.texels[y0 + x0], self.texels[y1 + x0]
        top += (self.texels[y0 + x1] - top) * across
        bottom += (self.texels[y1 + x1] - bottom) * across
        return top + (bottom - top) * down


LEVELS = SIZE.bit_length()
FIRST = np.concatenate([[0], np.cumsum([(SIZE >> level) ** 2 for level in range(LEVELS)])]).astype(np.int32)
"""Index of the first texel of each size."""


@lru_cache(maxsize=64)
def texture_of(name: str, seed: int = 0) -> Texture:
    """Make a texture."""
    make, unrolled = TEXTURES[name]
    picture = np.clip(make(seed), 0, 1).astype(np.float32)
    sizes = [picture.reshape(-1, 3)]
    while len(picture) > 1:
        half = len(picture) // 2
        picture = picture.reshape(half, 2, half, 2, 3).mean(axis=(1, 3))
        sizes.append(picture.reshape(-1, 3))
    return Texture(np.concatenate(sizes), unrolled)


def _mix(part: np.ndarray, low: tuple[float, float, float], high: tuple[float, float, float]) -> np.ndarray:
    return np.array(low) + part[..., None] * (np.array(high) - np.array(low))


def _rows_columns() -> tuple[np.ndarray, np.ndarray]:
    at = (np.arange(SIZE) + 0.5) / SIZE
    return np.meshgrid(at, at, indexing="ij")


def _plain(seed: int) -> np.ndarray:
    return np.ones((SIZE, SIZE, 3))


def _speckles(seed: int) -> np.ndarray:
    """A coat of paint that is not quite even: enough for a tracker to hold on to."""
    value = 0.8 + 0.2 * tile_noise(SIZE, cells=8, octaves=4, seed=seed)
    dots = tile_noise(SIZE, cells=48, octaves=1, seed=seed + 1) > 0.86
    return np.repeat((value - 0.3 * dots)[..., None], 3, axis=-1)


def _grain(seed: int, rings: float) -> np.ndarray:
    """Lines along the columns' axis, bent by slow noise."""
    rows, _ = _rows_columns()
    bend = tile_noise(SIZE, cells=8, octaves=4, seed=seed, stretch=4).T
    fine = tile_noise(SIZE, cells=64, octaves=3, seed=seed + 1, stretch=16).T
    waves = 0.5 + 0.5 * np.sin(2 * np.pi * (rings * rows + 3 * bend))
    return 0.5 * waves + 0.5 * fine


def _wood(seed: int) -> np.ndarray:
    return _mix(_grain(seed, 9), (0.20, 0.09, 0.035), (0.52, 0.30, 0.14))


def _planks(seed: int) -> np.ndarray:
    """Twelve boards of different tone across, cut at different places along."""
    rows, columns = _rows_columns()
    board = np.floor(rows * 12).astype(int)
    cut = hashed(seed, 5, np.arange(12))[board]
    half = np.floor(2 * columns + cut).astype(int) % 2
    tone = hashed(seed, 6, board, half)
    grain = _grain(seed, 30)
    colour = _mix(np.clip(0.25 * tone + 0.6 * grain, 0, 1), (0.19, 0.10, 0.05), (0.50, 0.31, 0.17))
    gap = ((rows * 12) % 1 < 0.035) | (((2 * columns + cut) % 1) < 0.006)
    return np.where(gap[..., None], 0.3 * colour, colour)


def _checker(seed: int) -> np.ndarray:
    rows, columns = _rows_columns()
    light = (np.floor(rows * 4) + np.floor(columns * 4)) % 2 == 0
    value = np.where(light, 0.85, 0.16) * (0.85 + 0.3 * tile_noise(SIZE, cells=16, octaves=3, seed=seed))
    return np.repeat(value[..., None], 3, axis=-1)


def _tiles(seed: int) -> np.ndarray:
    rows, columns = _rows_columns()
    row, column = np.floor(rows * 4).astype(int), np.floor(columns * 4).astype(int)
    tone = 0.75 + 0.2 * hashed(seed, row, column) + 0.15 * tile_noise(SIZE, cells=16, octaves=4, seed=seed)
    warm = _mix(hashed(seed, 9, row, column), (0.58, 0.52, 0.46), (0.48, 0.47, 0.46))
    joint = ((rows * 4) % 1 < 0.03) | ((columns * 4) % 1 < 0.03)
    return np.where(joint[..., None], 0.22, warm * tone[..., None])


def _marble(seed: int) -> np.ndarray:
    rows, columns = _rows_columns()
    cloud = tile_noise(SIZE, cells=4, octaves=6, seed=seed)
    vein = np.abs(np.sin(np.pi * (2 * rows + 3 * columns + 4.5 * cloud)))
    return _mix(np.clip(vein**0.45 * (0.75 + 0.4 * cloud), 0, 1), (0.16, 0.17, 0.20), (0.86, 0.84, 0.80))


def _brushed(seed: int) -> np.ndarray:
    value = 0.78 + 0.22 * tile_noise(SIZE, cells=64, octaves=3, seed=seed, stretch=32)
    return np.repeat(value[..., None], 3, axis=-1)


def _concrete(seed: int) -> np.ndarray:
    rough = tile_noise(SIZE, cells=6, octaves=7, seed=seed)
    pores = tile_noise(SIZE, cells=90, octaves=1, seed=seed + 1) > 0.9
    rows, columns = _rows_columns()
    joint = (rows % 1 < 0.006) | (columns % 1 < 0.006)
    value = 0.24 + 0.42 * rough - 0.1 * pores - 0.12 * joint
    return _mix(value, (0.0, 0.0, 0.0), (1.0, 0.97, 0.92))


def _grass(seed: int) -> np.ndarray:
    blades = tile_noise(SIZE, cells=64, octaves=3, seed=seed, stretch=2)
    patches = tile_noise(SIZE, cells=4, octaves=3, seed=seed + 1)
    return _mix(np.clip(1.3 * blades - 0.2, 0, 1), (0.03, 0.07, 0.015), (0.20, 0.30, 0.07)) * (
        0.7 + 0.6 * patches[..., None]
    )


def _stripes(seed: int) -> np.ndarray:
    """Slanted stripes, white and full: tinted by the thing's colour."""
    rows, columns = _rows_columns()
    full = (2 * rows + columns) % 1 < 0.5
    return np.where(full[..., None], np.array([1.0, 0.12, 0.1]), np.array([0.9, 0.9, 0.87]))


def _clouds(seed: int) -> np.ndarray:
    return np.repeat(tile_noise(SIZE, cells=5, octaves=7, seed=seed)[..., None], 3, axis=-1)


TEXTURES: dict[str, tuple[Callable[[int], np.ndarray], bool]] = {
    "plain": (_plain, False),
    "speckles": (_speckles, False),
    "wood": (_wood, False),
    "planks": (_planks, False),
    "checker": (_checker, True),
    "tiles": (_tiles, False),
    "marble": (_marble, False),
    "brushed": (_brushed, False),
    "concrete": (_concrete, False),
    "grass": (_grass, False),
    "stripes": (_stripes, True),
    "clouds": (_clouds, False),
}
"""Name -> function of a seed that gives (SIZE, SIZE, 3) in 0..1, and whether it is laid around round things."""
