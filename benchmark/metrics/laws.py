"""Metrics of laws: gravity constant, a collision of the right sign, an object that returns (benchmark/physics/laws.py).

Each is NaN where the clip does not show what is needed, but for the two rates, which are then 0.
"""

from openuni.benchmark.metrics.metric import Metric
from openuni.benchmark.physics import laws

SOURCE = "ours; laws of motion. Error bars on rendered clips: perf/results/physics_probes.json"
SAME_SIZE = (0.6, 1.6)  # ours: rendered balls come back with 0.93 to 1.05 of their pixels
MAX_LATE = 0.1  # ours, of the width: rendered balls are late by 0.01


def acceleration_change(ball: laws.Track) -> float:
    """Absolute change of a fall's acceleration from its start to its end, % of its mean. NaN without a fall."""
    return 100 * abs(laws.acceleration_change(ball))


def momentum_sign(striker: laws.Track, struck: laws.Track, width: int) -> float:
    """Whether both balls of a collision change their speed the right way: 1 or 0; 0 also where none is seen."""
    hit = laws.collision(striker, struck, width)
    return float(hit is not None and hit.right)


def returns(ball: laws.Track, width: int) -> float:
    """Whether a hidden ball comes back of its size and where it must be: 1 or 0; 0 also where it is never hidden."""
    back = laws.permanence(ball)
    right = back is not None and SAME_SIZE[0] <= back.size <= SAME_SIZE[1] and abs(back.late_px) <= MAX_LATE * width
    return float(right)


ACCELERATION_CHANGE = Metric(
    name="laws.acceleration_change", unit="%", higher_is_better=False, protocol="a cubic over the fall's track",
    source=SOURCE, function=acceleration_change,
)  # fmt: skip
MOMENTUM_SIGN = Metric(
    name="laws.momentum_sign", unit="1", higher_is_better=True, protocol="four frames before and after the hit",
    source=SOURCE, function=momentum_sign,
)  # fmt: skip
RETURNS = Metric(
    name="laws.returns", unit="1", higher_is_better=True, protocol="first whole sight after two hidden frames or more",
    source=SOURCE, function=returns,
)  # fmt: skip
