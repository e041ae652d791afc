"""Tier `photo`: Mitsuba 3 traces paths through the posed scenes, Intel's Open Image Denoise cleans the picture.

Light goes where it really goes: glass and water refract, metal and stone reflect the scene, colour bleeds, the sky
lights softly. Truth is not touched: it is the Embree rays', whatever variant of Mitsuba draws. Needs the extra
`render`.
"""

import logging
import os
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np

from openuni.benchmark.synth.geometry import Hits, Posed
from openuni.benchmark.synth.scene import Camera
from openuni.benchmark.synth.shade import FastTier
from openuni.benchmark.synth.tone import linear, to_bytes, tonemap
from openuni.errors import BadInput

logger = logging.getLogger(__name__)

MAX_SAMPLES = 4096
MAX_DEPTH = 16  # bounces: a full tumbler with a straw takes 9
BRIGHTEST = 12.0  # ours, linear: a path brighter than this is a firefly; white paper in the sun is about 2


@dataclass(kw_only=True)
class PhotoTier:
    """Draws RGB by path tracing."""

    variant: str = ""
    """Of Mitsuba: cuda_ad_rgb, llvm_ad_rgb, scalar_rgb; empty: the first of them that works here."""
    samples: int = 4
    """Paths per pixel, 1 to 4096."""
    denoise: bool = True
    """Clean the picture with OIDN."""
    chosen: str = field(default="", init=False)
    """The variant in use, once set up."""

    name = "photo"

    def __post_init__(self) -> None:
        if not 1 <= self.samples <= MAX_SAMPLES:
            raise BadInput(f"photo.samples is {self.samples}; give 1 to {MAX_SAMPLES}.")
        self._scene: Any = None
        self._guide = FastTier()

    def _needed(self) -> tuple[str, ...]:
        return ("mitsuba", "pyoidn") if self.denoise else ("mitsuba",)

    def setup(self) -> None:
        """Load Mitsuba with a variant that works here.

        Raises:
            BadInput: the extra is not installed, or no variant works.
        """
        missing = [name for name in self._needed() if find_spec(name) is None]
        if missing:
            raise BadInput(f"--tier photo needs {' and '.join(missing)}. Install: pip install 'openuni[render]'.")
        from openuni.benchmark.synth.variants import choose_variant

        self.chosen = choose_variant(self.variant)
        import drjit
        import mitsuba

        mitsuba.set_variant(self.chosen)
        threads = os.environ.get("OMP_NUM_THREADS", "")
        if threads.isdigit():  # workers share the cores; Mitsuba does not read the variable itself
            drjit.set_thread_count(max(1, int(threads)))
        logger.info("tier photo: Mitsuba %s, variant %s, %d paths per pixel",
                    mitsuba.__version__, self.chosen, self.samples)  # fmt: skip

    def about(self) -> dict[str, str]:
        """Variant of Mitsuba and versions, for the run's record."""
        from importlib.metadata import version

        return {"variant": self.chosen, **{name: version(name) for name in self._needed()}}

    def draw(self, posed: Posed, camera: Camera, first: Hits) -> np.ndarray:
        """Draw one frame.

        Args:
            posed: the surfaces.
            camera: the camera.
            first: the first surfaces at pixel centres: says where glass is; Mitsuba casts rays of its own.

        Returns:
            (H, W, 3) uint8.
        """
        light = self.light(posed, camera, first)
        return to_bytes(tonemap(light.reshape(-1, 3))).reshape(light.shape)

    def light(self, posed: Posed, camera: Camera, first: Hits) -> np.ndarray:
        """Return the linear light of one frame, (H, W, 3) float32; arguments as for `draw`."""
        import mitsuba

        from openuni.benchmark.synth.path_scene import PathScene

        kept = self._scene
        if kept is None or kept[0] is not posed.geometry or kept[1] != camera.height:
            self._scene = kept = (posed.geometry, camera.height, PathScene(posed, camera.height))
        integrator = {
            "type": "aov", "aovs": "albedo:albedo,normal:sh_normal",
            "image": {"type": "path", "max_depth": MAX_DEPTH},
        }  # fmt: skip
        scene = kept[2].at(posed, camera, integrator)
        render: Any = mitsuba.render  # its annotations want numbers of the variant
        layers = np.array(render(scene, spp=self.samples, seed=posed.frame), dtype=np.float32)
        light = np.nan_to_num(np.clip(layers[..., :3], 0, BRIGHTEST))
        if not self.denoise:
            return light
        import pyoidn

        # The albedo of metal is not within 0..1 (Mitsuba 3.9.1).
        albedo = np.nan_to_num(np.clip(layers[..., -6:-3], 0, 1))
        clear = (first.hit & posed.geometry.refractive[first.face]).reshape(albedo.shape[:2])
        if clear.any():
            # Glass has no colour of its own: what tier fast sees through it guides the denoiser. Through glass this
            # took 2.1 dB off the error (official scene 6, 4 paths against 128, 29.2 to 31.3 dB); for metal it did not.
            albedo[clear] = linear(self._guide.draw(posed, camera, first))[clear]
        normal = np.nan_to_num(np.clip(layers[..., -3:], -1, 1))
        cleaned: np.ndarray = pyoidn.denoise(light, albedo, normal, hdr=True)
        return np.maximum(cleaned, 0)
