"""Radar: systems as polygons over a table's columns, as one SVG that needs nothing else."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

SIDE_PX, RADIUS_PX = 640, 190
SIDES_PX = 60  # room for names left and right
COLOURS = ("#2f6fb2", "#e08a3c", "#3f9b5c", "#b3477d", "#7a62c9", "#8a7a3b")
INNERMOST = 0.15  # the worst of an axis is not at the centre, where polygons cannot be told apart


class Axis(NamedTuple):
    """One column."""

    name: str
    higher_is_better: bool
    decimals: int


class Shape(NamedTuple):
    """One system."""

    name: str
    values: tuple[float | None, ...]
    """One for each axis; None: no corner there, and the outline has a gap."""
    dashed: bool
    """Published, not measured here."""


def radar(axes: Sequence[Axis], shapes: Sequence[Shape], *, title: str) -> str:
    """Draw systems over axes, outwards is better.

    Each axis goes from the worst to the best value shown; both are written at its tip, since a radar's areas mean
    nothing.

    Args:
        axes: at least three.
        shapes: systems; the legend is in their order.
        title: for readers who cannot see the picture.

    Raises:
        ValueError: fewer than three axes, or a shape with another number of values.
    """
    if len(axes) < 3:
        raise ValueError(f"a radar needs at least 3 axes, got {len(axes)}")
    for shape in shapes:
        if len(shape.values) != len(axes):
            raise ValueError(f"{shape.name} has {len(shape.values)} values for {len(axes)} axes")
    middle = SIDE_PX / 2
    ranges = [_range([shape.values[place] for shape in shapes]) for place in range(len(axes))]
    parts = [_circle(middle, RADIUS_PX * share) for share in (0.25, 0.5, 0.75, 1.0)]
    for place, (axis, (low, high)) in enumerate(zip(axes, ranges, strict=True)):
        x, y = _point(place, len(axes), 1.0)
        parts.append(f'<line class="axis" x1="{middle}" y1="{middle}" x2="{x:.1f}" y2="{y:.1f}"/>')
        x, y = _point(place, len(axes), 1.13)
        anchor = "middle" if abs(x - middle) < 20 else "start" if x > middle else "end"
        ends = (low, high) if axis.higher_is_better else (high, low)
        told = f"{ends[0]:.{axis.decimals}f} to {ends[1]:.{axis.decimals}f}"
        parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(axis.name)}</text>')
        parts.append(f'<text class="ends" x="{x:.1f}" y="{y + 14:.1f}" text-anchor="{anchor}">{told}</text>')
    for number, shape in enumerate(shapes):
        parts += _outline(shape, axes, ranges, COLOURS[number % len(COLOURS)])
    height = SIDE_PX + 22 * len(shapes)
    for number, shape in enumerate(shapes):
        y = SIDE_PX + 22 * number
        dash = ' stroke-dasharray="6 4"' if shape.dashed else ""
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<line x1="60" x2="96" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2.5"{dash}/>')
        parts.append(f'<text x="106" y="{y + 4}">{escape(shape.name)}</text>')
    style = (
        "text{font:12px system-ui,sans-serif;fill:#1c2330}.ends{fill:#5b6577;font-size:11px}"
        ".axis,circle{stroke:#c3cad6;fill:none}"
        "@media(prefers-color-scheme:dark){text{fill:#e6eaf1}.ends{fill:#9aa5b8}.axis,circle{stroke:#3a4454}}"
    )
    box = f"{-SIDES_PX} 0 {SIDE_PX + 2 * SIDES_PX} {height}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img" class="radar">'
    return f"{head}<title>{escape(title)}</title><style>{style}</style>{''.join(parts)}</svg>\n"


def _outline(shape: Shape, axes: Sequence[Axis], ranges: Sequence[tuple[float, float]], colour: str) -> list[str]:
    points: list[tuple[float, float] | None] = []
    for place, (axis, value, (low, high)) in enumerate(zip(axes, shape.values, ranges, strict=True)):
        if value is None:
            points.append(None)
            continue
        share = (value - low) / (high - low)
        share = share if axis.higher_is_better else 1 - share
        points.append(_point(place, len(axes), INNERMOST + (1 - INNERMOST) * share))
    dash = ' stroke-dasharray="6 4"' if shape.dashed else ""
    paint = f'stroke="{colour}" stroke-width="2.5"{dash}'
    dots = [f'<circle cx="{p[0]:.1f}" cy="{p[1]:.1f}" r="3.5" style="fill:{colour};stroke:none"/>' for p in points if p]
    if all(points):
        corners = " ".join(f"{p[0]:.1f},{p[1]:.1f}" for p in points if p)
        return [f'<polygon points="{corners}" fill="{colour}" fill-opacity="0.08" {paint}/>', *dots]
    lines = []
    for place, point in enumerate(points):
        after = points[(place + 1) % len(points)]
        if point and after:
            ends = f'x1="{point[0]:.1f}" y1="{point[1]:.1f}" x2="{after[0]:.1f}" y2="{after[1]:.1f}"'
            lines.append(f"<line {ends} {paint}/>")
    return [*lines, *dots]


def _range(values: Sequence[float | None]) -> tuple[float, float]:
    given = [value for value in values if value is not None]
    if not given:
        return 0.0, 1.0
    low, high = min(given), max(given)
    return (low, high) if high > low else (low - 1, high)


def _point(place: int, axes: int, share: float) -> tuple[float, float]:
    angle = 2 * math.pi * place / axes - math.pi / 2
    return SIDE_PX / 2 + RADIUS_PX * share * math.cos(angle), SIDE_PX / 2 + RADIUS_PX * share * math.sin(angle)


def _circle(middle: float, radius: float) -> str:
    return f'<circle cx="{middle}" cy="{middle}" r="{radius:.1f}"/>'
