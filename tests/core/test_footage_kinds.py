"""Footage of every kind comes back as its author saw it: colours, shape, turn, length."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from causvid_core.media.footage import footage_file
from causvid_core.media.reading import nearest_frames

from .footage_kinds import Kind, centres, seen, write

PHONE, FLIPPED = (0, 1, -1, 0), (-1, 0, 0, 1)
KINDS = {
    "601": Kind(matrix=6),
    "709": Kind(),
    "240m": Kind(matrix=7),
    "601-full": Kind(matrix=6, full=True),
    "709-full": Kind(full=True),
    "601-10bit": Kind(matrix=6, form="yuv420p10le"),
    "709-10bit": Kind(form="yuv420p10le"),
    "709-10bit-full": Kind(form="yuv420p10le", full=True),
    "709-422-10bit": Kind(form="yuv422p10le"),
    "709-444": Kind(form="yuv444p"),
    "709-12bit": Kind(form="yuv444p12le", codec="ffv1", suffix=".mkv"),
    "601-12bit-full": Kind(matrix=6, full=True, form="yuv422p12le", codec="ffv1", suffix=".mkv"),
    "2020": Kind(matrix=9, form="yuv420p10le"),
    "2020-full": Kind(matrix=9, full=True),
    "2020-12bit": Kind(matrix=9, form="yuv444p12le", codec="ffv1", suffix=".mkv"),
    "untagged-sd": Kind(coded=6),
    "untagged-hd": Kind(coded=1, height=600),
    "rgb": Kind(form="bgr0", codec="ffv1", suffix=".mkv", matrix=2, coded=1),
    "phone": Kind(turn=PHONE),
    "phone-other-way": Kind(turn=(0, -1, 1, 0), full=True),
    "upside-down": Kind(turn=(-1, 0, 0, -1), matrix=6),
    "flipped": Kind(turn=FLIPPED),
    "flipped-down": Kind(turn=(1, 0, 0, -1)),
    "transposed": Kind(turn=(0, 1, 1, 0)),
    "turned-and-flipped": Kind(turn=(0, -1, -1, 0), form="yuv420p10le"),
    "anamorphic": Kind(aspect=Fraction(2)),
    "anamorphic-phone": Kind(aspect=Fraction(2), turn=PHONE),
    "transport-stream": Kind(suffix=".ts", start=3.0),
    "starts-late": Kind(codec="ffv1", form="yuv444p", suffix=".mkv", start=100.0),
    "starts-late-mp4": Kind(start=2.5),
    "23.976": Kind(fps=Fraction(24000, 1001)),
    "59.94": Kind(fps=Fraction(60000, 1001)),
    "low-rate": Kind(fps=Fraction(8)),
    "variable-rate": Kind(times=(0, 0.05, 0.1, 0.6, 0.65, 0.7, 0.9, 1.0), suffix=".mkv"),
    "alpha-prores": Kind(form="yuva444p10le", codec="prores_ks", suffix=".mov", alpha=0.5),
    "alpha-png": Kind(form="rgba", codec="png", suffix=".mov", alpha=0.4),
    "alpha-vp9": Kind(form="yuva420p", codec="libvpx-vp9", suffix=".webm", alpha=0.5),
    "invisible": Kind(form="rgba", codec="png", suffix=".mov", alpha=0.0),
}


@pytest.mark.parametrize("name", KINDS)
def test_footage_comes_back_as_its_author_saw_it(tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    path = write(tmp_path, kind)
    footage = footage_file(path, 16.0)
    times = [time - kind.shown[0] for time in kind.shown]
    lasts = 0.05 if kind.times else 1 / float(kind.fps)
    chosen = nearest_frames(times, 16, lasts)
    assert footage.px_frames == len(chosen) and abs(len(chosen) - 16 * (times[-1] + lasts)) < 1
    frames = list(footage.read(0))
    assert len(frames) == len(chosen)
    for frame, number in zip(frames, chosen, strict=True):
        expected = seen(kind, number)
        assert frame.shape == expected.shape and frame.dtype == torch.float32
        away = (255 * centres(frame) - centres(expected)).abs().max()
        assert away <= 2, f"frame {number} is {away:.1f} levels off"
    assert [int(frame.mean() * 1e6) for frame in footage.read(len(frames) - 2)] == [
        int(frame.mean() * 1e6) for frame in frames[-2:]
    ]


def test_there_are_thirty_kinds() -> None:
    assert len(KINDS) >= 30
