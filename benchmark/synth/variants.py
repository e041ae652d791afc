"""Mitsuba's variants: which one works here. Each is tried in a process of its own, since one may abort it.

Seen with Mitsuba 3.9.1: LLVM 14 and 15 end the process ("Cannot select"); without a graphics card, or without a shared
libLLVM, setting the variant or the first render raises.
"""

import subprocess
import sys
from functools import lru_cache

from openuni.errors import BadInput, UnknownName

VARIANTS = ("cuda_ad_rgb", "llvm_ad_rgb", "scalar_rgb")
"""In the order they are tried: fastest first."""
PROBE_TIMEOUT_S = 120  # ours: a first kernel on a slow machine takes seconds
PROBE = """
import sys
import mitsuba
mitsuba.set_variant(sys.argv[1])
scene = mitsuba.load_dict({
    "type": "scene", "integrator": {"type": "path"}, "light": {"type": "constant"}, "ball": {"type": "sphere"},
    "sensor": {"type": "perspective", "film": {"type": "hdrfilm", "width": 4, "height": 4},
               "to_world": mitsuba.ScalarTransform4f().look_at([0, 0, 4], [0, 0, 0], [0, 1, 0])},
})
import numpy
picture = numpy.array(mitsuba.render(scene, spp=1))
print("WORKS" if numpy.isfinite(picture).all() and picture.mean() > 0.1 else "BLACK")
"""


@lru_cache(maxsize=8)
def why_not(variant: str) -> str:
    """Say why a variant does not work here; empty if it does."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE, variant], capture_output=True, text=True, timeout=PROBE_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return f"no picture within {PROBE_TIMEOUT_S} s"
    if done.returncode == 0 and "WORKS" in done.stdout:
        return ""
    if done.returncode < 0:
        return f"it ended the process with signal {-done.returncode}"
    return (done.stderr.strip().splitlines() or [done.stdout.strip() or f"exit status {done.returncode}"])[-1]


def choose_variant(wanted: str = "") -> str:
    """Return the variant to use.

    Args:
        wanted: one of VARIANTS; empty: the first that works.

    Raises:
        UnknownName: no such variant.
        BadInput: the one wanted, or every one, does not work here.
    """
    if wanted and wanted not in VARIANTS:
        raise UnknownName("variant of Mitsuba", wanted, VARIANTS)
    reasons = {}
    for variant in (wanted,) if wanted else VARIANTS:
        reasons[variant] = why_not(variant)
        if not reasons[variant]:
            return variant
    said = "; ".join(f"{variant}: {reason}" for variant, reason in reasons.items())
    advice = f"Choose another ({', '.join(VARIANTS)}), or none to have them tried." if wanted else "Use --tier fast."
    raise BadInput(f"Mitsuba cannot render here. {said}. {advice}")
