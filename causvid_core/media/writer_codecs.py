"""Codecs, qualities and pixel formats of video files, as far as this build of FFmpeg has them.

Every encoder is set up to hold no frame back (no lookahead, no B-frames): a frame is in the file as
soon as the next one comes, however the program ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

AUTO = "auto"
PIXEL_FORMATS = (AUTO, "yuv420p", "yuv420p10le", "yuv422p10le", "yuv444p", "yuv444p10le")
MOST_QUALITY = 100
QUALITY = 75
KEY_FRAME_SECONDS = 2.0
"""How far apart the places are, at most, to which a player can jump."""


class VideoSettings(NamedTuple):
    """How a file is encoded.

    codec: a key of `CODECS`. quality: 0 to 100, on the same scale for every codec; 75 looks like
    the original. fps: px frames per second at which it plays. pixel_format: one of
    `PIXEL_FORMATS`; auto is the one that every player of the codec opens.
    """

    codec: str = "h264"
    quality: int = QUALITY
    fps: float = 16.0
    pixel_format: str = AUTO


DEFAULT = VideoSettings()


class Codec(NamedTuple):
    """encoder: FFmpeg's name. suffix: of its files. crf: the quantiser at quality 0 and at 100.
    pixel_formats: the choice among `PIXEL_FORMATS`, the first for auto; a build may lack some.
    """

    encoder: str
    suffix: str
    crf: tuple[float, float] | None
    pixel_formats: tuple[str, ...]
    options: Mapping[str, str]
    tag: str | None = None


_ALL = PIXEL_FORMATS[1:]

CODECS: MappingProxyType[str, Codec] = MappingProxyType(
    {
        "h264": Codec("libx264", ".mp4", (42, 10), _ALL, {"tune": "zerolatency"}),
        "h265": Codec(
            "libx265",
            ".mp4",
            (46, 13),
            _ALL,
            {"tune": "zerolatency", "x265-params": "log-level=error"},
            "hvc1",  # the tag that Apple's players expect
        ),
        "vp9": Codec(
            "libvpx-vp9",
            ".webm",
            (60, 16),
            _ALL,
            {"b": "0", "lag-in-frames": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
        ),
        "prores": Codec("prores_ks", ".mov", None, ("yuv422p10le", "yuv444p10le"), {}),
    }
)

_PRORES_4444 = 4
# The file plays up to its last frame after a crash, and becomes an ordinary mp4 when closed.
_MP4 = "hybrid_fragmented+frag_every_frame+empty_moov+default_base_moof+use_metadata_tags"


@cache
def codecs() -> tuple[str, ...]:
    """Those of `CODECS` that this build of FFmpeg can write."""
    return tuple(name for name in CODECS if _formats(CODECS[name].encoder))


def pixel_formats(codec: str) -> tuple[str, ...]:
    """Those that this build can write with a codec; the first is what auto stands for.

    Raises ValueError for a codec that is unknown or not in the build.
    """
    if codec not in CODECS:
        raise ValueError(f"codec is {codec!r}; choose {' or '.join(codecs())}")
    built = _formats(CODECS[codec].encoder)
    if not built:
        raise ValueError(
            f"this build of FFmpeg cannot write {codec}; choose {' or '.join(codecs())}"
        )
    return tuple(name for name in CODECS[codec].pixel_formats if name in built)


def checked_settings(settings: VideoSettings) -> VideoSettings:
    """The settings with auto resolved. Raises ValueError when they make no file."""
    offered = pixel_formats(settings.codec)
    chosen = offered[0] if settings.pixel_format == AUTO else settings.pixel_format
    if chosen not in offered:
        raise ValueError(
            f"this build of FFmpeg cannot write {settings.codec} with the pixel format {chosen}; "
            f"choose {', '.join((AUTO, *offered))}"
        )
    if not 0 <= settings.quality <= MOST_QUALITY:
        raise ValueError(f"quality is {settings.quality}; expected 0 to {MOST_QUALITY}")
    if not 0.1 <= settings.fps <= 1000:
        raise ValueError(f"fps is {settings.fps:g}; expected 0.1 to 1000 frames per second")
    return settings._replace(pixel_format=chosen)


def encoder_options(settings: VideoSettings) -> dict[str, str]:
    """The encoder's options for checked settings."""
    codec = CODECS[settings.codec]
    share = settings.quality / MOST_QUALITY
    if codec.crf is None:
        profile = min(3, int(share * 4))  # 0 proxy, 1 LT, 2 standard, 3 HQ
        return {"profile": str(_PRORES_4444 if "444" in settings.pixel_format else profile)}
    worst, best = codec.crf
    key_frames = str(max(1, round(KEY_FRAME_SECONDS * settings.fps)))
    return {**codec.options, "crf": str(round(worst + (best - worst) * share)), "g": key_frames}


def container_options(suffix: str) -> dict[str, str]:
    """The container's options, with which a frame is on disk as soon as the next one comes."""
    if suffix in (".mp4", ".mov"):
        return {"movflags": _MP4, "flush_packets": "1"}
    return {"cluster_time_limit": "1", "flush_packets": "1"}


def is_deep(pixel_format: str) -> bool:
    """Whether a pixel format holds more than 8 bits per channel."""
    return pixel_format.endswith("10le")


def _formats(encoder: str) -> frozenset[str]:
    import av  # here, so that the names of codecs need no PyAV

    try:
        return frozenset(f.name for f in av.Codec(encoder, "w").video_formats or ())
    except ValueError:  # what PyAV raises for a codec that is not in the build
        return frozenset()
