"""Videos with captions, made into shards of latents: `encode-dataset`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..media.vae import WanVAE
from .shards import ShardWriter

TENSOR = "latents"


@dataclass(frozen=True)
class ClipSettings:
    """How videos become clips. width and height in px; stride: px frames from one clip's first
    to the next one's, None for one clip a video; fit: see `media.fitting`.
    """

    width: int
    height: int
    px_frames: int = 81
    fps: float = 16.0
    stride: int | None = None
    fit: str = "crop"


def captioned(source: Path) -> Iterator[tuple[Path, str]]:
    """Videos and their captions, in order.

    source: a folder of videos with a .txt of the same name beside each, or a .csv or .jsonl file
    with columns `video` and `caption`. Raises ValueError naming what is missing.
    """
    raise NotImplementedError


def encode_dataset(
    vae: WanVAE,
    videos: Iterable[tuple[Path, str]],
    settings: ClipSettings,
    writer: ShardWriter,
    progress: Callable[[Path, int], None] | None = None,
) -> int:
    """Encode the clips that the writer lacks; returns how many.

    A sample's tensor `latents` is [16, T, h, w] in float16. Videos shorter than a clip are left
    out and named in the log.
    """
    raise NotImplementedError
