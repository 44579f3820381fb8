"""Files as people have them: cut, broken, with covers, from editors and cameras."""

from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from causvid_core.media.footage import footage_file
from causvid_core.media.hdr import as_bt709, pq_nits, pq_signal
from causvid_core.media.reading import frames_from, read_clock
from causvid_core.media.video import read_frames, write_mp4

from .footage_kinds import ICTCP, Kind, centres, picture, seen, write


def grey(path: Path, source: str | BytesIO | None = None) -> list[int]:
    """The numbers that the frames of a footage show."""
    read = footage_file(source or path, 16.0).read(0)
    return [round((255 * float(centres(frame)[3, 0]) - 40) / 15) for frame in read]


def test_what_is_written_is_what_was_read(tmp_path: Path) -> None:
    """BT.709 in, BT.601 out, and the same colours."""
    footage = footage_file(write(tmp_path, Kind(height=720)), 16.0)
    write_mp4(tmp_path / "again.mp4", footage.read(0), 16)
    for n, frame in enumerate(read_frames(tmp_path / "again.mp4")):
        away = centres(torch.from_numpy(frame).double()) - centres(seen(Kind(height=720), n))
        assert away.abs().max() <= 2


def test_a_cover_in_front_is_not_the_video(tmp_path: Path) -> None:
    covered = tmp_path / "covered.mp4"
    with av.open(str(covered), "w") as out:
        cover = out.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic.value
        video = out.add_stream("libx264", rate=16, options={"qp": "0"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv444p"
        black = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        out.mux(cover.encode(black))
        out.mux(cover.encode())
        for n in range(12):
            pixels = picture(n).astype(np.uint8)
            out.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(video.encode())
    data = covered.read_bytes()
    moov, mvhd, udta = (data.index(name) - 4 for name in (b"moov", b"mvhd", b"udta"))
    first = mvhd + int.from_bytes(data[mvhd : mvhd + 4], "big")
    assert moov < mvhd < udta
    size = int.from_bytes(data[udta : udta + 4], "big")
    tags, rest = data[udta : udta + size], data[udta + size :]
    covered.write_bytes(data[:first] + tags + data[first:udta] + rest)
    with av.open(str(covered)) as container:
        assert [stream.name for stream in container.streams.video] == ["png", "h264"]
    assert grey(covered) == list(range(12))


def test_reading_begins_at_any_frame(tmp_path: Path) -> None:
    """One key frame, and a container that finds places only roughly."""
    path = write(tmp_path, Kind(suffix=".ts", start=3.0))
    clock = read_clock(str(path))
    for first in (0, 1, 5, 11):
        numbers = [number for number, _ in frames_from(str(path), clock, first)]
        assert numbers[0] <= first and numbers[-1] == 11
    with path.open("rb") as file:
        assert grey(path, BytesIO(file.read())) == list(range(12))


@pytest.mark.parametrize("start", [0.0, 3.0, 100.0])
def test_a_trim_counts_from_the_first_frame(tmp_path: Path, start: float) -> None:
    kind = Kind(form="yuv444p", codec="ffv1", suffix=".mkv", start=start)
    footage = footage_file(write(tmp_path, kind), 16.0, start=0.25, duration=0.25)
    shown = [round((255 * float(centres(f)[3, 0]) - 40) / 15) for f in footage.read(0)]
    assert footage.px_frames == 4 and shown == [4, 5, 6, 7]


def test_an_edit_list_leaves_frames_out(tmp_path: Path) -> None:
    """An editor's cut begins in the middle: what lies before it is decoded but not shown."""
    path = write(tmp_path, Kind())
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 4
    version, count = data[at], int.from_bytes(data[at + 4 : at + 8], "big")
    with av.open(str(path)) as container:
        base = container.streams.video[0].time_base
    assert version == 0 and count == 1
    began = int.from_bytes(data[at + 12 : at + 16], "big")
    lasts = int.from_bytes(data[at + 8 : at + 12], "big")
    data[at + 8 : at + 12] = (lasts * 8 // 12).to_bytes(4, "big")
    data[at + 12 : at + 16] = (began + int(Fraction(4, 16) / base)).to_bytes(4, "big")
    path.write_bytes(data)
    assert grey(path) == list(range(4, 12))


@pytest.mark.parametrize("name", ["empty", "text", "cut"])
def test_what_is_no_video_is_named_without_its_folder(tmp_path: Path, name: str) -> None:
    clip = write(tmp_path, Kind())
    contents = {"empty": b"", "text": b"no video" * 99, "cut": clip.read_bytes()[:500]}[name]
    path = tmp_path / f"{name}.mp4"
    path.write_bytes(contents)
    with pytest.raises(ValueError, match=r"load another") as error:
        footage_file(path, 16.0)
    assert path.name in str(error.value) and str(tmp_path) not in str(error.value)
    with pytest.raises(ValueError, match="the video .*load another") as error:
        footage_file(BytesIO(contents), 16.0)


def test_a_missing_file_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file gone.mp4") as error:
        footage_file(tmp_path / "gone.mp4", 16.0)
    assert str(tmp_path) not in str(error.value)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(ValueError, match="contains no video"):
        footage_file(path, 16.0)


def test_a_file_that_breaks_off_has_the_frames_before(tmp_path: Path) -> None:
    path = write(tmp_path, Kind(form="yuv444p", codec="ffv1", suffix=".mkv"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    found = grey(path)
    assert 4 <= len(found) < 12 and found[:4] == [0, 1, 2, 3]


def test_a_trim_behind_the_end_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"clip.mp4 ends after 0.75 s, before its trim at 2 s"):
        footage_file(write(tmp_path, Kind()), 16.0, start=2)


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        (Kind(), ""),
        (Kind(coded=6), "colours not tagged, read as BT.601"),
        (Kind(coded=1, height=600), "colours not tagged, read as BT.709"),
        (
            Kind(form="rgba", codec="png", suffix=".mov", alpha=0.5),
            "transparent parts shown over black",
        ),
    ],
)
def test_the_notice_says_what_had_to_be_decided(tmp_path: Path, kind: Kind, note: str) -> None:
    text = footage_file(write(tmp_path, kind), 16.0).text
    assert text == "; ".join(filter(None, ["12 frames at 16 frames per second", note]))


def test_nits_of_pq() -> None:
    """SMPTE ST 2084: 100 nits are 50.8 % of the signal, 1000 are 75.2 %."""
    values = torch.tensor([0.508078, 0.580689, 0.751827, 1.0], dtype=torch.float64)
    nits = torch.tensor([100, 203, 1000, 10000], dtype=torch.float64)
    torch.testing.assert_close(pq_nits(values), nits, rtol=1e-4, atol=0)
    torch.testing.assert_close(pq_signal(nits), values, rtol=1e-5, atol=0)


def test_hdr_is_tone_mapped() -> None:
    """Dark light stays, reference white stays below white, the peak is white, grey stays grey."""

    def shown(nits: float) -> float:
        signal = pq_signal(torch.tensor([nits], dtype=torch.float64)).float()
        pixel = as_bt709(signal.expand(1, 1, 3), "PQ")[0, 0]
        assert pixel.max() - pixel.min() < 1e-3
        return float(pixel[0])

    assert shown(0) < 1e-3 and shown(1000) == pytest.approx(1, abs=2e-3)
    for nits in (5, 20, 50, 85):
        assert shown(nits) == pytest.approx((nits / 203) ** (1 / 2.4), abs=2e-3)
    rising = [shown(nits) for nits in (90, 150, 203, 400, 800, 1000, 4000)]
    assert rising == sorted(rising) and 0.8 < rising[2] < 0.95 and rising[-1] <= 1
    hlg = as_bt709(torch.full((1, 1, 3), 0.75), "HLG")  # reference white, by ITU-R BT.2408
    assert hlg.mean() == pytest.approx(rising[2], abs=4e-3)


def test_wide_colours_become_those_of_bt709() -> None:
    """BT.709's red, written in BT.2020, is full red again."""
    red_2020 = torch.tensor([0.627404, 0.069097, 0.016391]) ** (1 / 2.4)
    red = as_bt709(red_2020[None, None], "SDR")[0, 0]
    torch.testing.assert_close(red, torch.tensor([1.0, 0.0, 0.0]), atol=0.02, rtol=0)


@pytest.mark.parametrize(("number", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_files_are_recognised(tmp_path: Path, number: int, name: str) -> None:
    path = tmp_path / "hdr.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=16, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        context = stream.codec_context
        context.colorspace, context.color_range = 9, 1
        context.color_primaries, context.color_trc = 9, number
        frame = av.VideoFrame(64, 48, "yuv420p10le")
        frame.colorspace, frame.color_range = 9, 1
        for plane, level in zip(frame.planes, (572, 512, 512), strict=True):
            np.frombuffer(plane, np.uint16)[:] = level
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    footage = footage_file(path, 16.0)
    assert f"HDR ({name}) tone-mapped to BT.709" in footage.text
    signal = torch.full((1, 1, 3), (572 - 64) / 876)
    wanted = as_bt709(signal, name)[0, 0]
    torch.testing.assert_close(next(footage.read(0))[24, 32], wanted, atol=2 / 255, rtol=0)


def test_colours_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"coded as ICtCp, .* convert it to BT.709"):
        footage_file(write(tmp_path, Kind(matrix=ICTCP)), 16.0)


def test_a_rate_that_a_file_cannot_have_is_measured(tmp_path: Path) -> None:
    times = tuple(n / 16 for n in range(12))
    path = write(tmp_path, Kind(times=times, suffix=".mkv"))  # it names 100 frames per second
    assert read_clock(str(path)).fps == pytest.approx(16, rel=0.01)


def test_the_picture_of_the_kinds_has_four_corners() -> None:
    assert len({tuple(corner.tolist()) for corner in centres(torch.from_numpy(picture(0)))}) == 4
