"""Encode captioned videos as shards of latents: `encode-dataset`."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import torch
from torch import Tensor

from ...hashing import content_hash, file_sha256
from ...media.encoding import as_clip
from ...media.fits import FITS
from ...media.fitting import fit
from ...media.reading import Clock, frames_from, nearest_frames, picked, read_clock
from ...media.vae import WanVAE
from ...media.wan_stream import WanEncoder
from ...storage.shards import ShardWriter
from ...stream.geometry import FPS, PX_STEP, TIME_SCALE, is_px_size, px_near

log = logging.getLogger("causvid")

TENSOR = "latents"
VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".gif")


@dataclass(frozen=True)
class ClipSettings:
    """How to cut videos into clips. width and height in px. fit: see `media.fitting`.

    stride: px frames from the start of one clip to the next; None for one clip a video. Raises
    ValueError for sizes and lengths that no Wan model takes.
    """

    width: int
    height: int
    px_frames: int = 81
    fps: float = FPS
    stride: int | None = None
    fit: str = FITS[0]

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise ValueError(f"fit is {self.fit!r}; choose one of {', '.join(FITS)}")
        for name in ("width", "height"):
            side = getattr(self, name)
            if not is_px_size(side):
                near = px_near(side, PX_STEP)
                raise ValueError(f"{name} is {side} px, not a multiple of {PX_STEP}; try {near}")
        if self.px_frames < 1 or (self.px_frames - 1) % TIME_SCALE:
            near = max(0, round((self.px_frames - 1) / TIME_SCALE)) * TIME_SCALE + 1
            raise ValueError(
                f"clips of {self.px_frames} px frames do not fill latent frames; try {near}"
            )
        if not self.fps > 0:
            raise ValueError(f"fps is {self.fps:g}; it must be above 0, and Wan was trained at 16")
        if self.stride is not None and self.stride < 1:
            raise ValueError(f"the stride is {self.stride} px frames; it must be at least 1")

    def starts(self, px_frames: int) -> range:
        """The first px frame of every whole clip of a video."""
        last = px_frames - self.px_frames
        return range(0, last + 1 if self.stride or last < 0 else 1, self.stride or 1)


def captioned(source: Path) -> Iterator[tuple[Path, str]]:
    """Videos and their captions, in order.

    source: a folder of videos at any depth, each with a .txt file of the same name; or a .csv or
    .jsonl file with columns `video`, a path relative to that file, and `caption`. Raises ValueError
    naming what is missing.
    """
    if source.is_dir():
        videos = sorted(p for p in source.rglob("*") if p.suffix.lower() in VIDEOS)
        if not videos:
            raise ValueError(f"{source} holds no videos ({', '.join(VIDEOS)})")
        for video in videos:
            text = video.with_suffix(".txt")
            if not text.is_file():
                raise ValueError(f"{video} has no caption; write one into {text.name} next to it")
            yield video, " ".join(text.read_text("utf-8").split())
        return
    for number, row in enumerate(_rows(source), 1):
        name, caption = row.get("video"), row.get("caption")
        if not name or not isinstance(caption, str):
            raise ValueError(f"entry {number} of {source} lacks a video or its caption")
        path = source.parent / name
        if not path.is_file():
            raise ValueError(f"entry {number} of {source}: there is no {path}")
        yield path, " ".join(caption.split())


def encode_dataset(
    vae: WanVAE,
    videos: Iterable[tuple[Path, str]],
    settings: ClipSettings,
    writer: ShardWriter,
    progress: Callable[[Path, int], None] | None = None,
) -> int:
    """Encode the clips that the writer lacks; returns how many.

    A sample's tensor `latents` is [16, T, h, w] in float16. Each clip is encoded like a video that
    begins with its first px frame. Videos that are shorter than a clip or cannot be read are
    skipped and named in the log. progress: called after each video with the clips taken from it.
    """
    encoded = 0
    for path, caption in videos:
        taken = 0
        try:
            taken = _encode_video(vae, path, caption, settings, writer)
        except (av.FFmpegError, ValueError) as error:
            log.warning("leaving out %s: %s", path, error)
        encoded += taken
        if progress is not None:
            progress(path, taken)
    return encoded


def clip_header(vae: WanVAE, settings: ClipSettings) -> dict[str, Any]:
    """What the clips of a folder share. The stride changes no clip and is left out."""
    weight = vae.conv1.weight.detach().float().cpu().contiguous()
    return {**asdict(settings), "stride": None, "vae": content_hash(weight)}


def _encode_video(
    vae: WanVAE, path: Path, caption: str, settings: ClipSettings, writer: ShardWriter
) -> int:
    clock = read_clock(str(path))
    chosen = nearest_frames(clock.times, settings.fps, clock.lasts)
    starts = settings.starts(len(chosen))
    if not starts:
        raise ValueError(
            f"it has {len(chosen)} px frames at {settings.fps:g} a second, a clip takes "
            f"{settings.px_frames}"
        )
    content, taken = file_sha256(path), 0
    for start in starts:
        key = content_hash(content, caption, start)
        if key in writer:
            continue
        frames = chosen[start : start + settings.px_frames]
        latents = _encode_clip(vae, path, clock, frames, settings)
        taken += writer.add(key, caption, {TENSOR: latents}, f"{path.name} from px frame {start}")
    return taken


def _encode_clip(
    vae: WanVAE, path: Path, clock: Clock, chosen: list[int], settings: ClipSettings
) -> Tensor:
    encoder, ready = WanEncoder(vae), []
    for frame in picked(frames_from(str(path), clock, chosen[0]), chosen):
        px = fit(frame[None], settings.width, settings.height, settings.fit)
        latents = encoder.encode(as_clip(px))
        if latents is not None:
            ready.append(latents)
    latents = torch.cat(ready, dim=2)
    wanted = (settings.px_frames - 1) // TIME_SCALE + 1
    if latents.shape[2] != wanted:
        raise ValueError("its last frames cannot be decoded")
    return latents[0].half()


def _rows(source: Path) -> Iterator[dict[str, Any]]:
    with source.open(encoding="utf-8-sig", newline="") as file:
        if source.suffix.lower() == ".csv":
            yield from csv.DictReader(file)
        elif source.suffix.lower() == ".jsonl":
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError:
                    row = None
                if not isinstance(row, dict):
                    raise ValueError(f"line {number} of {source} is not a JSON object")
                yield row
        else:
            raise ValueError(f"{source} is neither a folder nor a .csv or .jsonl file")
