"""Geometry of the page's small charts: numbers to SVG coordinates, drawn by the templates.

The templates colour them with the page's own style sheet, so that they follow light and dark.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 560.0
HEIGHT = 230.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 12.0, 14.0, 40.0


@dataclass(frozen=True)
class Tick:
    """A mark on an axis, at `position` along it in SVG units."""

    position: float
    label: str


@dataclass(frozen=True)
class Line:
    """One curve: SVG path data, in the colour of `series`."""

    label: str
    series: int
    path: str


@dataclass(frozen=True)
class LineChart:
    """Curves over common axes."""

    title: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    zero: float | None
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


@dataclass(frozen=True)
class Strip:
    """One row of a strip chart: the dots of one method, their mean and its interval."""

    label: str
    series: int
    y: float
    dots: tuple[float, ...]
    mean: float | None
    low: float | None
    high: float | None
    text: str


@dataclass(frozen=True)
class StripChart:
    """Scores of methods, one row a method and one dot a recording."""

    title: str
    x_label: str
    x_ticks: tuple[Tick, ...]
    strips: tuple[Strip, ...]
    silence: float | None
    perfect: float | None
    width: float
    height: float
    left: float
    right: float
    bottom: float


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Give about `count` round numbers that lie in ``[low, high]``.

    Examples
    --------
    >>> nice_ticks(0, 1100)
    [0.0, 250.0, 500.0, 750.0, 1000.0]
    """
    span = high - low
    if not (span > 0 and math.isfinite(span)):
        return [low]
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) + 0.0 for k in range(first, last + 1)]


def tick_label(value: float) -> str:
    """Write a tick with a true minus sign."""
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def line_chart(
    title: str,
    x_label: str,
    y_label: str,
    curves: Sequence[tuple[str, int, Sequence[float], Sequence[float]]],
) -> LineChart | None:
    """Lay out curves given as (label, series, x, y); None where nothing is finite.

    Parameters
    ----------
    title, x_label, y_label : str
        Text; labels name their unit.
    curves : sequence of (str, int, sequence of float, sequence of float)
        NaN breaks a curve.

    Returns
    -------
    LineChart or None
    """
    points = [
        (x, y)
        for _, _, xs, ys in curves
        for x, y in zip(xs, ys, strict=True)
        if math.isfinite(x) and math.isfinite(y)
    ]
    if not points:
        return None
    x_low, x_high = _range([x for x, _ in points], margin=0.0)
    y_low, y_high = _range([y for _, y in points], margin=0.05)

    def across(x: float) -> float:
        return LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def up(y: float) -> float:
        return HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)

    lines = []
    for label, series, xs, ys in curves:
        parts, pen = [], "M"
        for x, y in zip(xs, ys, strict=True):
            if math.isfinite(x) and math.isfinite(y):
                parts.append(f"{pen}{across(x):.1f} {up(y):.1f}")
                pen = "L"
            else:
                pen = "M"
        lines.append(Line(label, series, "".join(parts)))
    return LineChart(
        title=title,
        x_label=x_label,
        y_label=y_label,
        x_ticks=tuple(Tick(across(v), tick_label(v)) for v in nice_ticks(x_low, x_high, 6)),
        y_ticks=tuple(Tick(up(v), tick_label(v)) for v in nice_ticks(y_low, y_high, 4)),
        lines=tuple(lines),
        zero=up(0.0) if y_low < 0 < y_high else None,
    )


@dataclass(frozen=True)
class Row:
    """What a strip is made of: one method's scores, their mean and its confidence interval."""

    label: str
    series: int
    values: tuple[float, ...]
    mean: float | None
    low: float | None
    high: float | None
    text: str


def strip_chart(
    title: str,
    x_label: str,
    rows: Sequence[Row],
    silence: float | None = None,
    perfect: float | None = None,
) -> StripChart | None:
    """Lay out scores as strips, with what silence and a perfect copy score where it is finite."""
    marks = [m for m in (silence, perfect) if m is not None and math.isfinite(m)]
    values = [v for row in rows for v in row.values]
    if not values:
        return None
    low, high = _range(values + marks, margin=0.03)
    width, left, right, step, top = WIDTH, 176.0, WIDTH - 16.0, 32.0, 26.0
    bottom = top + step * len(rows)

    def across(x: float) -> float:
        return left + (x - low) / (high - low) * (right - left)

    def place(x: float | None) -> float | None:
        return None if x is None or not math.isfinite(x) else across(x)

    return StripChart(
        title=title,
        x_label=x_label,
        x_ticks=tuple(Tick(across(v), tick_label(v)) for v in nice_ticks(low, high, 6)),
        strips=tuple(
            Strip(
                label=row.label,
                series=row.series,
                y=top + step * (index + 0.5),
                dots=tuple(round(across(v), 1) for v in row.values),
                mean=place(row.mean),
                low=place(row.low),
                high=place(row.high),
                text=row.text,
            )
            for index, row in enumerate(rows)
        ),
        silence=place(silence),
        perfect=place(perfect),
        width=width,
        height=bottom + 40.0,
        left=left,
        right=right,
        bottom=bottom,
    )


def _range(values: Sequence[float], margin: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    if high - low < 1e-12 * max(abs(low), abs(high), 1e-300):
        return low - 0.5, high + 0.5
    pad = margin * (high - low)
    return low - pad, high + pad
