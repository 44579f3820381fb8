"""What a render was asked for: the command line's options, and what follows from them alone."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

from ..media.writer_codecs import AUTO, CODECS, QUALITY, VideoSettings, checked_settings
from ..stream.geometry import FPS, PX_STEP, is_px_size, px_frames_from_seconds

# What a continuation has in common with the render that was stopped; the stream knows the rest.
_SHARED = (
    "prompt schedule mode video strength fit scale codec quality fps pixel_format checkpoint lora "
    "lora_strength vae context recipe device dtype"
).split()


@dataclass(frozen=True)
class RenderRequest:
    """The options of `render` under their own names; see its `--help`. None was not given.

    Everything that reads them raises ValueError in a sentence for people.
    """

    prompt: str | None = None
    schedule: Path | None = None
    mode: str = "recache"
    image: Path | None = None
    video: Path | None = None
    video_from: float = 0.0
    strength: float = 0.7
    fit: str = "crop"
    seed: int = 0
    minutes: float | None = None
    seconds: float | None = None
    size: str | None = None
    scale: int = 0
    out: Path | None = None
    overwrite: bool = False
    resume: Path | None = None
    save_stream: Path | None = None
    checkpoint_blocks: int = 10
    codec: str | None = None
    quality: int = QUALITY
    fps: float = FPS
    pixel_format: str = AUTO
    sheet: Path | None = None
    checkpoint: str | None = None
    lora: str | None = None
    lora_strength: float = 1.0
    vae: str | None = None
    context: str | None = None
    recipe: str | None = None
    allow_changes: bool = False
    device: str | None = None
    dtype: str | None = None
    quiet: bool = False

    @cached_property
    def text(self) -> str | None:
        """The prompt, or the schedule as it was written."""
        if self.schedule is None:
            return self.prompt
        try:
            return self.schedule.read_text("utf-8-sig")
        except UnicodeDecodeError:
            raise ValueError(f"{self.schedule} is not UTF-8; save it as UTF-8") from None

    @property
    def px_frames(self) -> int | None:
        """Px frames to make."""
        seconds = self.seconds if self.minutes is None else 60 * self.minutes
        return None if seconds is None else px_frames_from_seconds(seconds)

    @property
    def px_size(self) -> tuple[int, int] | None:
        """Width and height in px."""
        if self.size is None:
            return None
        sides = self.size.lower().split("x")
        if len(sides) != 2 or not all(side.isascii() and side.isdigit() for side in sides):
            raise ValueError(f"--size is {self.size!r}; write it as 832x480")
        width, height = map(int, sides)
        if not is_px_size(width) or not is_px_size(height):
            raise ValueError(f"--size is {self.size}; use multiples of {PX_STEP}, such as 832x480")
        return width, height

    def video_settings(self) -> VideoSettings:
        """How the file is encoded: by --codec, else by the codec that --out's suffix stands for."""
        codec = self.codec or next(iter(CODECS))
        if self.codec is None and self.out is not None:
            found = [name for name, codec in CODECS.items() if codec.suffix == self.out.suffix]
            if not found:
                suffixes = sorted({codec.suffix for codec in CODECS.values()})
                raise ValueError(
                    f"{self.out} is not a video file; name it with {' or '.join(suffixes)}"
                )
            codec = found[0]
        return checked_settings(VideoSettings(codec, self.quality, self.fps, self.pixel_format))

    def continuation(self, stream: Path, px_done: int, px_left: int) -> str:
        """The command that renders what is left into a file of its own."""
        words = ["python", "-m", "causvid_core", "render", "--resume", str(stream)]
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _SHARED and value is not None and value != field.default:
                words += [f"--{field.name.replace('_', '-')}", str(value)]
        if self.video is not None:
            words += ["--video-from", f"{self.video_from + px_done / FPS:.10g}"]
        words += ["--seconds", f"{px_left / FPS:.10g}"]
        return shlex.join(words)
