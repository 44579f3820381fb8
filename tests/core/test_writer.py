"""Video files while they are written, after a crash, and when they are done."""

import contextlib
import subprocess
import sys
import threading
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from causvid_core.media.background_writer import VideoWriter
from causvid_core.media.video import write_mp4
from causvid_core.media.writer import VideoFile
from causvid_core.media.writer_codecs import CODECS, VideoSettings, codecs, pixel_formats
from causvid_core.storage.reserve import partial_name, reserve

ROOT = Path(__file__).resolve().parents[2]
SIZE = {"width": 64, "height": 48}
TAGS = {"prompt": '{"1": {"text": "a \\u00fc"}}', "workflow": '{"nodes": []}'}
BUILT = [(codec, pixel) for codec in codecs() for pixel in pixel_formats(codec)]


def colours(count: int) -> Tensor:
    """Frames of three broad stripes, saturated and plain, that change slowly."""
    frames = torch.empty(count, SIZE["height"], SIZE["width"], 3)
    for number in range(count):
        shade = number / max(1, count - 1)
        frames[number, :16] = torch.tensor([0.9, 0.1 * shade, 0.1])
        frames[number, 16:32] = torch.tensor([0.1, 0.7, 0.2 + 0.5 * shade])
        frames[number, 32:] = 0.2 + 0.6 * shade
    return frames


def path_for(folder: Path, codec: str) -> Path:
    return folder / f"a{CODECS[codec].suffix}"


def read(path: Path) -> tuple[np.ndarray, dict[str, str], av.VideoStream]:
    """Frames in 16 bits, the tags by lower case names, and facts about the stream."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        # PyAV 16 makes wrong rgb48 of 10 bits in 4:2:0 on some CPUs; of 4:4:4 it does not.
        full = "yuv444p10le" if "10le" in stream.pix_fmt else stream.pix_fmt
        frames = [
            frame.reformat(format=full).to_ndarray(format="rgb48le")
            for frame in container.decode(stream)
        ]
        tags = {name.lower(): text for name, text in container.metadata.items()}
        return np.stack(frames), tags, stream


def test_this_build_has_the_usual_codecs() -> None:
    assert {"h264", "vp9"} <= set(codecs())
    assert pixel_formats("h264")[0] == "yuv420p"


@pytest.mark.parametrize(("codec", "pixel_format"), BUILT)
def test_a_file_gives_back_frames_colours_rate_and_tags(
    tmp_path: Path, codec: str, pixel_format: str
) -> None:
    path, frames = path_for(tmp_path, codec), colours(20)
    settings = VideoSettings(codec, 85, 29.97, pixel_format)
    with VideoWriter(VideoFile(path, settings, **SIZE, metadata=TAGS)) as writer:
        for piece in frames.split((1, 12, 7)):
            writer.write(piece)
    assert writer.px_frames == 20
    found, tags, stream = read(path)
    assert len(found) == 20
    assert stream.pix_fmt.replace("12le", "10le") == pixel_format  # as FFmpeg reads ProRes 4444
    assert float(stream.average_rate) == pytest.approx(29.97, abs=0.01)
    away_from_edges = np.abs(found / 65535 - frames.numpy())[:, [4, 8, 22, 24, 26, 40, 44]]
    assert away_from_edges.mean() < 0.012 and away_from_edges.max() < 0.05
    assert TAGS.items() <= tags.items()


@pytest.mark.parametrize("codec", codecs())
def test_quality_is_paid_for_in_bytes(tmp_path: Path, codec: str) -> None:
    noisy = torch.rand(4, 48, 64, 3, generator=torch.Generator().manual_seed(0))
    sizes = []
    for quality in (10, 50, 90):
        with VideoFile(path_for(tmp_path, codec), VideoSettings(codec, quality), **SIZE) as file:
            file.add(noisy)
        sizes.append(file.path.stat().st_size)
    assert sizes == sorted(sizes) and sizes[0] < sizes[2]


def test_ten_bits_hold_shades_that_eight_do_not(tmp_path: Path) -> None:
    shades = torch.linspace(0.4, 0.5, 64).repeat(48, 1)[None, ..., None].expand(1, 48, 64, 3)
    different = {}
    for pixel_format in ("yuv444p", "yuv444p10le"):
        settings = VideoSettings("h264", 100, pixel_format=pixel_format)
        with VideoFile(tmp_path / "a.mp4", settings, **SIZE) as file:
            file.add(shades)
        found, _, _ = read(tmp_path / "a.mp4")
        different[pixel_format] = len(np.unique(found[0, 24, :, 1] >> 6))
    assert different["yuv444p10le"] > 1.5 * different["yuv444p"]


WRITE_FOR_EVER = """
import sys, torch
from causvid_core.media.background_writer import VideoWriter
from causvid_core.media.video import write_mp4
from causvid_core.media.writer import VideoFile
from causvid_core.media.writer_codecs import VideoSettings
codec, path = sys.argv[1:]
file = VideoFile(path, VideoSettings(codec), width=64, height=48, metadata={"prompt": "{}"})
writer = VideoWriter(file)
for block in range(10**6):
    frames = torch.full((12, 48, 64, 3), block % 10 / 10)
    writer.write(frames)
    print(file.px_frames, flush=True)
"""


@pytest.mark.parametrize("codec", codecs())
def test_a_killed_program_leaves_all_frames_but_the_last(tmp_path: Path, codec: str) -> None:
    path = path_for(tmp_path, codec)
    command = [sys.executable, "-c", WRITE_FOR_EVER, codec, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        written = next(count for line in running.stdout if (count := int(line)) > 40)
        running.kill()
    assert not path.exists()
    found, tags, _ = read(path.with_name(partial_name(path.name)))
    assert len(found) >= written - 1 and tags["prompt"] == "{}"
    for number, frame in enumerate(found):
        assert abs(frame.mean() / 65535 - number // 12 % 10 / 10) < 0.03


def test_a_finished_mp4_is_an_ordinary_one(tmp_path: Path) -> None:
    with VideoFile(tmp_path / "a.mp4", **SIZE) as file:
        file.add(colours(70))
    _, _, stream = read(file.path)
    assert stream.frames == 70  # an index of the whole, which fragments do not have
    with av.open(str(file.path)) as container:
        container.seek(4_100_000)  # microseconds: lands on a key frame not long before it
        assert 2.1 <= next(container.decode(video=0)).time <= 4.1


@pytest.mark.parametrize("thread", [False, True])
def test_an_error_in_the_middle_leaves_a_playable_file(tmp_path: Path, thread: bool) -> None:
    class Stop(BaseException):
        pass

    file = VideoFile(tmp_path / "a.mp4", **SIZE)
    with pytest.raises(Stop), VideoWriter(file) if thread else file as target:
        add = target.write if thread else target.add
        add(colours(30))
        raise Stop
    assert len(read(file.path)[0]) == 30
    assert not any(t.name == "causvid-writer" for t in threading.enumerate())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_told_to_the_one_who_writes(tmp_path: Path) -> None:
    held = reserve(tmp_path / "a.mp4")
    held.partial.symlink_to("/dev/full")
    writer = VideoWriter(VideoFile(held, **SIZE))
    with pytest.raises(OSError, match="a.mp4 cannot be written: .*No space left"), writer:
        for _ in range(50):
            writer.write(colours(12))
    assert not held.path.exists()
    assert not any(t.name == "causvid-writer" for t in threading.enumerate())


def test_frames_of_another_size_are_refused_and_what_was_written_stays(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="frame 5 is 48x48 px, the first was 64x48"),
        VideoWriter(VideoFile(tmp_path / "a.mp4", **SIZE)) as writer,
    ):
        writer.write(colours(5))
        writer.write(torch.zeros(1, 48, 48, 3))
    assert len(read(tmp_path / "a.mp4")[0]) == 5


def test_a_file_without_frames_is_not_left_behind(tmp_path: Path) -> None:
    with VideoWriter(VideoFile(tmp_path / "a.mp4", **SIZE)):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("a.mp4", VideoSettings("divx"), "codec is 'divx'; choose h264"),
        ("a.mp4", VideoSettings("h264", pixel_format="bgr24"), "choose auto, yuv420p"),
        ("a.mov", VideoSettings("prores", pixel_format="yuv420p"), "choose auto, yuv422p10le"),
        ("a.mp4", VideoSettings(quality=101), "quality is 101; expected 0 to 100"),
        ("a.mp4", VideoSettings(fps=0), "fps is 0; expected"),
        ("a.webm", VideoSettings("h264"), "a.webm cannot hold h264; name it a.mp4"),
    ],
)
def test_settings_that_make_no_file(
    tmp_path: Path, name: str, settings: VideoSettings, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        VideoFile(tmp_path / name, settings, **SIZE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("thread", [False, True])
def test_the_old_film_stays_until_the_new_one_is_closed(tmp_path: Path, thread: bool) -> None:
    path, part = tmp_path / "a.mp4", tmp_path / "a.part.mp4"
    with VideoFile(path, **SIZE) as file:
        file.add(colours(5))
    old = path.read_bytes()
    for error in (KeyboardInterrupt, None):
        file = VideoFile(path, **SIZE)
        with contextlib.suppress(KeyboardInterrupt):
            with VideoWriter(file) if thread else file as target:
                (target.write if thread else target.add)(colours(9))
                assert path.read_bytes() == old and file.path == part
                if error:
                    raise error
        assert (path.read_bytes() == old) == bool(error)
        assert len(read(file.path)[0]) == 9 and file.path == (part if error else path)
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_file_name_makes_no_film(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").symlink_to(tmp_path / "a.mp4")
    for path, sentence in ((5, "5 is not a file name"), (tmp_path / "a.mp4", "leads back to its")):
        with pytest.raises((ValueError, OSError), match=sentence):
            write_mp4(path, colours(1), 16)  # type: ignore[arg-type]


def test_one_film_has_one_writer(tmp_path: Path) -> None:
    with VideoFile(tmp_path / "a.mp4", **SIZE) as file:
        file.add(colours(2))
        with pytest.raises(FileExistsError, match="a.mp4 is being written by process"):
            VideoFile(tmp_path / "a.mp4", **SIZE)
    assert len(read(tmp_path / "a.mp4")[0]) == 2
