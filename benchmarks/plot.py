"""Line charts with logarithmic axes, as SVG that reads well on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final, TypeAlias

Points: TypeAlias = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 40, 48
_COLOURS: Final = ("#3778bf", "#d9722b", "#3a9a5b", "#8a5cb5")
_GREY: Final = "#888888"
_HEAD: Final = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
    'font-family="sans-serif" font-size="12">'
)


def chart(title: str, x_axis: str, y_axis: str, lines: Mapping[str, Points]) -> str:
    """Draw lines, both axes logarithmic.

    Args:
        title: Above the chart.
        x_axis: What is drawn to the right, with its unit.
        y_axis: What is drawn upwards, with its unit.
        lines: Name -> points, all above 0; at most four lines.

    Returns:
        The SVG.
    """
    every = [point for points in lines.values() for point in points]
    across, up = _Axis([x for x, _ in every]), _Axis([y for _, y in every])

    def x_of(value: float) -> float:
        return _LEFT + across.share(value) * (_WIDTH - _LEFT - _RIGHT)

    def y_of(value: float) -> float:
        return _HEIGHT - _BOTTOM - up.share(value) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        _HEAD,
        _text(_LEFT, 18, title, "start", size=14),
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, x_axis),
        _text(_LEFT, 34, y_axis, "start"),
    ]
    for value in across.ticks:
        x = x_of(value)
        parts += [_rule(x, _TOP, x, _HEIGHT - _BOTTOM), _text(x, _HEIGHT - _BOTTOM + 16, _n(value))]
    for value in up.ticks:
        y = y_of(value)
        parts += [_rule(_LEFT, y, _WIDTH - _RIGHT, y), _text(_LEFT - 6, y + 4, _n(value), "end")]
    for number, (name, points) in enumerate(lines.items()):
        colour = _COLOURS[number]
        places = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in points)
        style = f'fill="none" stroke="{colour}" stroke-width="2"'
        parts.append(f'<polyline points="{places}" {style}/>')
        parts += [
            f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3" fill="{colour}"/>'
            for x, y in points
        ]
        parts.append(_text(_LEFT + 12, _TOP + 16 + 16 * number, name, "start", fill=colour))
    return "\n".join([*parts, "</svg>", ""])


class _Axis:
    """From the power of ten below the lowest value to the one above the highest."""

    def __init__(self, values: Sequence[float]) -> None:
        self._low = math.floor(math.log10(min(values)))
        self._high = max(self._low + 1, math.ceil(math.log10(max(values))))
        self.ticks = [10.0**power for power in range(self._low, self._high + 1)]

    def share(self, value: float) -> float:
        """Give the place of a value, 0 to 1."""
        return (math.log10(value) - self._low) / (self._high - self._low)


def _n(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{_GREY}" '
        'stroke-opacity="0.35"/>'
    )


def _text(
    x: float, y: float, text: str, anchor: str = "middle", *, size: int = 12, fill: str = _GREY
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="{fill}">{escape(text)}</text>'
    )
