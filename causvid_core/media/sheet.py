"""Pictures side by side, with an optional line of text below each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

_GROUND, _INK = (24, 24, 27), (212, 212, 216)
_TEXT_PX = 14
_LINE_PX = 22


def picture_sheet(
    images: Sequence[Image.Image],
    labels: Sequence[str] | None = None,
    columns: int = 6,
    cell_px: int = 192,
    gap_px: int = 6,
) -> Image.Image:
    """All images in one picture, each `cell_px` wide, in reading order on a dark ground.

    Small images are enlarged without smoothing, to show their pixels. Raises ValueError without
    images, or unless there is one label for each.
    """
    count = len(images) if labels is None else len(labels)
    if not images or len(images) != count:
        raise ValueError(f"{len(images)} pictures and {count} labels make no sheet")
    height = round(cell_px * images[0].height / images[0].width)
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    line_px = 0 if labels is None else _LINE_PX
    step_x, step_y = cell_px + gap_px, height + line_px + gap_px
    sheet = Image.new("RGB", (columns * step_x + gap_px, rows * step_y + gap_px), _GROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT_PX)
    for number, image in enumerate(images):
        x, y = gap_px + number % columns * step_x, gap_px + number // columns * step_y
        small = image.width < cell_px
        method = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
        sheet.paste(image.convert("RGB").resize((cell_px, height), method), (x, y))
        if labels is not None:
            draw.text((x + 2, y + height + 3), labels[number], _INK, font)
    return sheet


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of the numbers 0 to `count - 1`, evenly spread, with both ends."""
    if count <= most:
        return list(range(count))
    return [round(number * (count - 1) / max(1, most - 1)) for number in range(most)]
