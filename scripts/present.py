"""Makes a small video easy to look at: `python scripts/present.py VIDEO COPY.mp4 SHEET.png`.

The copy is enlarged by a whole factor, so that a 64 px video is large enough to watch; the sheet
shows frames side by side. Needs torch, av and Pillow, but no ComfyUI.
"""

import sys
from pathlib import Path

import av

ROOT = Path(__file__).resolve().parents[1]
WIDTH_PX = 384


def main(video: Path, copy: Path, sheet: Path) -> None:
    sys.path.insert(0, str(ROOT))
    from causvid_core.media.video import contact_sheet, read_frames, write_mp4

    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        fps, width = float(stream.average_rate), stream.width
    frames = list(read_frames(video))
    write_mp4(copy, frames, fps, scale=max(1, WIDTH_PX // width))
    contact_sheet(frames).save(sheet)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
