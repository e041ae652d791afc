"""Convex functions of one number: their minimum, for fits that have no closed form."""

from collections.abc import Callable

STEPS = 80  # golden section: 0.618^80 = 2e-17 of the bracket


def minimum(cost: Callable[[float], float], low: float, high: float) -> float:
    """Return where a convex function is smallest between two numbers, by golden section."""
    part = (5**0.5 - 1) / 2
    left, right = high - part * (high - low), low + part * (high - low)
    at_left, at_right = cost(left), cost(right)
    for _ in range(STEPS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - part * (high - low)
            at_left = cost(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + part * (high - low)
            at_right = cost(right)
    return (low + high) / 2
