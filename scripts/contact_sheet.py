"""A contact sheet of a video: `python scripts/contact_sheet.py VIDEO PNG`. Needs av and Pillow."""

import sys
from pathlib import Path

import av
from PIL import Image

COLUMNS, ROWS = 6, 4
TILE_PX, GAP_PX = 160, 4


def main(video: Path, sheet: Path) -> None:
    with av.open(str(video)) as container:
        frames = [frame.to_image() for frame in container.decode(video=0)]
    make_sheet(pick(frames, COLUMNS * ROWS)).save(sheet)


def pick(frames: list[Image.Image], count: int) -> list[Image.Image]:
    """At most `count` frames, evenly spread from the first to the last."""
    if len(frames) <= count:
        return frames
    return [frames[round(i * (len(frames) - 1) / (count - 1))] for i in range(count)]


def make_sheet(frames: list[Image.Image]) -> Image.Image:
    """The frames in reading order, scaled to one width; small pictures keep their hard pixels."""
    width, height = frames[0].size
    small = width < TILE_PX
    tile = (TILE_PX, round(TILE_PX * height / width))
    scaled = [f.resize(tile, Image.NEAREST if small else Image.LANCZOS) for f in frames]
    rows = -(-len(scaled) // COLUMNS)
    step_x, step_y = tile[0] + GAP_PX, tile[1] + GAP_PX
    columns = min(COLUMNS, len(scaled))
    size = (columns * step_x + GAP_PX, rows * step_y + GAP_PX)
    sheet = Image.new("RGB", size, "white")
    for i, frame in enumerate(scaled):
        sheet.paste(frame, (GAP_PX + i % COLUMNS * step_x, GAP_PX + i // COLUMNS * step_y))
    return sheet


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
