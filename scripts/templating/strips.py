"""Rows of frames with a label above each, small enough for a help page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

# The editor's help panel is about 260 px wide, so text is large here.
CELL_PX, GAP_PX, LINE_PX, TEXT_PX, BAR_PX = 128, 6, 44, 31, 7
GROUND, INK = (24, 24, 27), (228, 228, 231)
GIVEN, MADE = (250, 204, 21), (56, 189, 248)  # amber: what the artist gave; blue: what was made


class Strip(NamedTuple):
    """A row: its text, its pictures, and how many of them were given rather than made."""

    label: str
    pictures: Sequence[Image.Image]
    given: int = 0


def sheet(strips: Sequence[Strip]) -> Image.Image:
    """All rows, one below the other. Small pictures are enlarged without smoothing.

    If a row has given pictures, a bar below each picture tells given from made.
    """
    marked = any(strip.given for strip in strips)
    widths = [sum(_width(p) + GAP_PX for p in strip.pictures) for strip in strips]
    step = LINE_PX + CELL_PX + GAP_PX + (BAR_PX + 2 if marked else 0)
    size = (GAP_PX + max(widths), GAP_PX + step * len(strips))
    whole = Image.new("RGB", size, GROUND)
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(TEXT_PX)
    for row, strip in enumerate(strips):
        x, y = GAP_PX, GAP_PX + row * step
        draw.text((x, y + 2), strip.label, INK, font)
        y += LINE_PX
        for number, picture in enumerate(strip.pictures):
            wide = _width(picture)
            smooth = Image.Resampling.LANCZOS if picture.height > CELL_PX else 0
            whole.paste(picture.convert("RGB").resize((wide, CELL_PX), smooth), (x, y))
            if marked:
                top, colour = y + CELL_PX + 2, GIVEN if number < strip.given else MADE
                draw.rectangle((x, top, x + wide - 1, top + BAR_PX - 1), colour)
            x += wide + GAP_PX
    return whole


def _width(picture: Image.Image) -> int:
    return round(picture.width * CELL_PX / picture.height)
