"""Video files and contact sheets."""

import weakref
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from causvid_core.media.pixels import as_pixels
from causvid_core.media.video import contact_sheet, read_frames, write_mp4


def ramp(count: int, height: int = 32, width: int = 48) -> list[torch.Tensor]:
    """Plain frames that brighten from black to white."""
    return [torch.full((height, width, 3), n / max(1, count - 1)) for n in range(count)]


def test_a_video_comes_back_as_it_was_written(tmp_path: Path) -> None:
    frames = ramp(20)
    assert write_mp4(tmp_path / "a.mp4", iter(frames), 16) == 20
    read = list(read_frames(tmp_path / "a.mp4"))
    assert len(read) == 20
    for wanted, got in zip(frames, read, strict=True):
        assert np.abs(got.astype(float) - as_pixels(wanted)).mean() < 4


def test_rate_scale_and_metadata_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_mp4(path, ramp(8), 29.97, scale=3, metadata={"comment": "a red circle"})
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (144, 96)
        assert float(stream.average_rate) == pytest.approx(29.97, abs=0.01)
        assert container.metadata["comment"] == "a red circle"


def test_odd_sizes_lose_their_last_row_and_column(tmp_path: Path) -> None:
    write_mp4(tmp_path / "a.mp4", ramp(3, 33, 47), 16)
    assert next(read_frames(tmp_path / "a.mp4")).shape == (32, 46, 3)


def test_an_error_in_the_middle_leaves_the_frames_before_it(tmp_path: Path) -> None:
    def stopping():
        yield from ramp(5)
        raise InterruptedError("stopped")

    with pytest.raises(InterruptedError, match="stopped"):
        write_mp4(tmp_path / "a.mp4", stopping(), 16)
    assert len(list(read_frames(tmp_path / "a.mp4"))) == 5


def test_frames_are_let_go_one_at_a_time(tmp_path: Path) -> None:
    alive = set()
    most = 0

    def frames():
        nonlocal most
        for number in range(50):
            frame = np.zeros((32, 32, 3), np.uint8)
            alive.add(number)
            weakref.finalize(frame, alive.discard, number)
            most = max(most, len(alive))
            yield frame

    write_mp4(tmp_path / "a.mp4", frames(), 16)
    assert most <= 3


@pytest.mark.parametrize(
    ("frames", "sentence"),
    [
        ([], "there are no frames"),
        ([torch.zeros(32, 32, 3), torch.zeros(32, 48, 3)], "frame 1 is 48x32 px, the first was 32"),
        ([torch.zeros(3, 32, 32)], "expected \\(height, width, 3\\)"),
        ([torch.zeros(8, 8, 3)], "8x8 px are too small"),
    ],
)
def test_bad_frames_are_refused(tmp_path: Path, frames: list, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        write_mp4(tmp_path / "a.mp4", frames, 16)


def test_floats_are_rounded_and_clamped() -> None:
    assert as_pixels(torch.tensor([[[-1.0, 0.5, 2.0]]])).tolist() == [[[0, 128, 255]]]


def test_the_contact_sheet_shows_first_and_last() -> None:
    sheet = np.asarray(contact_sheet(ramp(33, 64, 64), columns=4, rows=2, cell_px=128, gap_px=4))
    assert sheet.shape == (2 * 132 + 4, 4 * 132 + 4, 3)
    assert sheet[60, 60].tolist() == [0, 0, 0]
    assert sheet[200, 480].tolist() == [255, 255, 255]


def test_the_contact_sheet_of_one_frame_has_one_cell() -> None:
    assert contact_sheet(ramp(1), cell_px=96, gap_px=0).size == (96, 64)
