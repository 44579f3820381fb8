"""Curves over a long video as small panels, drawn with Pillow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

COLOURS = ("#2563eb", "#059669", "#d97706", "#dc2626", "#7c3aed", "#0f172a")
INK, FAINT, GRID = "#111827", "#6b7280", "#e5e7eb"
SCALE = 2  # drawn large and made smaller: Pillow's lines are not smooth by themselves
PANEL_W, PANEL_H, GAP, MARGIN = 360, 190, 16, 18
LEGEND_LINE = 20
LEFT, TOP, BOTTOM = 46, 28, 24  # around the curves of a panel


class Panel(NamedTuple):
    """curves: one sequence of values by name, all over the same stretch; NaN is passed over.
    most: the top of the axis at least.
    """

    title: str
    curves: Mapping[str, Sequence[float]]
    most: float = 0.0
    level: float | None = None  # a dashed line: the target


def draw(
    panels: Sequence[Panel], end: float, marks: Sequence[int], x_label: str, columns: int = 3
) -> Image.Image:
    """All panels with one legend; x runs from 0 to `end`, `marks` are thin vertical lines."""
    rows = math.ceil(len(panels) / columns)
    width = 2 * MARGIN + columns * PANEL_W + (columns - 1) * GAP
    legend = _legend(list(panels[0].curves), width - 2 * MARGIN)
    height = 2 * MARGIN + rows * (PANEL_H + GAP) + 24 + len(legend) * LEGEND_LINE
    image = Image.new("RGB", (width * SCALE, height * SCALE), "white")
    pen = _Pen(ImageDraw.Draw(image))
    for number, panel in enumerate(panels):
        x = MARGIN + number % columns * (PANEL_W + GAP)
        y = MARGIN + number // columns * (PANEL_H + GAP)
        _draw_panel(pen, panel, x, y, end, marks)
    below = MARGIN + rows * (PANEL_H + GAP)
    pen.text(width / 2, below + 2, x_label, FAINT, "mt")
    _draw_legend(pen, legend, width, below + 28)
    return image.resize((width, height), Image.Resampling.BOX)


class _Pen:
    """Draws in the units of the finished picture."""

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self._draw = draw

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float = 1.0) -> None:
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self._draw.line(scaled, colour, max(1, round(width * SCALE)), joint="curve")

    def text(self, x: float, y: float, text: str, colour: str, anchor: str, px: int = 11) -> None:
        self._draw.text((x * SCALE, y * SCALE), text, colour, _font(px), anchor)


def _draw_panel(
    pen: _Pen, panel: Panel, x: float, y: float, end: float, marks: Sequence[int]
) -> None:
    left, right, top, bottom = x + LEFT, x + PANEL_W, y + TOP, y + PANEL_H - BOTTOM
    values = [v for curve in panel.curves.values() for v in curve if not math.isnan(v)]
    step = _step(max([*values, panel.most, 1e-9]))
    high = math.ceil(max([*values, panel.most, 1e-9]) / step - 1e-9) * step

    def place(at: float, value: float) -> tuple[float, float]:
        return left + at / end * (right - left), bottom - value / high * (bottom - top)

    pen.text(left, y + 4, panel.title, INK, "lt", 13)
    for tick in range(round(high / step) + 1):
        level = place(0, tick * step)[1]
        pen.line([(left, level), (right, level)], GRID)
        pen.text(left - 6, level, f"{tick * step:g}", FAINT, "rm")
    for mark in marks:
        if mark < end:
            across = place(mark, 0)[0]
            pen.line([(across, top), (across, bottom)], "#9ca3af", 0.5)
    for at in _ticks(end):
        pen.text(place(at, 0)[0], bottom + 5, f"{at:g}", FAINT, "mt")
    if panel.level is not None:
        level = place(0, panel.level)[1]
        for dash in range(round(left), round(right), 8):
            pen.line([(dash, level), (min(dash + 4, right), level)], INK)
    drawn = list(zip(panel.curves.values(), COLOURS, strict=False))
    for curve, colour in reversed(drawn):  # the first lies on top
        points = [
            place((index + 0.5) / len(curve) * end, value)
            for index, value in enumerate(curve)
            if not math.isnan(value)
        ]
        if len(points) > 1:
            pen.line(points, colour, 1.5)


def _legend(names: Sequence[str], width: float) -> list[list[tuple[str, str, float]]]:
    """Lines of a legend that fit: names with colours and how much of the line each takes."""
    font, lines, left = _font(12), [[]], width
    for name, colour in zip(names, COLOURS, strict=False):
        length = 30 + font.getlength(name) / SCALE + 22
        if length > left and lines[-1]:
            lines.append([])
            left = width
        lines[-1].append((name, colour, length))
        left -= length
    return lines


def _draw_legend(
    pen: _Pen, lines: Sequence[Sequence[tuple[str, str, float]]], width: float, y: float
) -> None:
    for number, line in enumerate(lines):
        x, below = (width - sum(length for *_, length in line)) / 2, y + number * LEGEND_LINE
        for name, colour, length in line:
            pen.line([(x, below), (x + 22, below)], colour, 2.5)
            pen.text(x + 30, below, name, INK, "lm", 12)
            x += length


def _step(highest: float) -> float:
    """A round distance between 3 to 6 ticks."""
    power = 10 ** math.floor(math.log10(highest / 3))
    return next(power * factor for factor in (1, 2, 5, 10) if highest / (power * factor) <= 5)


def _ticks(end: float) -> list[float]:
    step = _step(end)
    return [number * step for number in range(int(end / step) + 1)]


def _font(px: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    try:
        return ImageFont.load_default(px * SCALE)
    except TypeError:  # Pillow 10.0 has one size only
        return ImageFont.load_default()
