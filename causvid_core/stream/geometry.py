"""Conversions between what an artist counts (px frames, seconds, px) and what Wan computes.

The Wan VAE makes the first px frame a latent frame of its own and every further
`TIME_SCALE` px frames one more; a latent is `SPACE_SCALE` px wide and high.
"""

from __future__ import annotations

TIME_SCALE = 4
SPACE_SCALE = 8
PX_STEP = 2 * SPACE_SCALE
"""Widths and heights are multiples of it: a token is two latent rows and columns."""
FPS = 16.0
"""Px frames a second that Wan 2.1 was trained on."""


def latent_frames_from_px(px_frames: int) -> int:
    """Fewest latent frames that hold `px_frames` px frames. ValueError below one."""
    if px_frames < 1:
        raise ValueError(f"{px_frames} px frames make no video; ask for at least 1")
    return -(-(px_frames - 1) // TIME_SCALE) + 1


def px_frames_from_latent(latent_frames: int) -> int:
    """Px frames that `latent_frames` latent frames decode to. ValueError below one."""
    if latent_frames < 1:
        raise ValueError(f"{latent_frames} latent frames make no video; ask for at least 1")
    return (latent_frames - 1) * TIME_SCALE + 1


def px_frames_from_seconds(seconds: float, fps: float = FPS) -> int:
    """Px frames nearest to `seconds` at `fps`, at least one."""
    if seconds <= 0 or fps <= 0:
        raise ValueError(f"{seconds} seconds at {fps} fps make no video; both must be positive")
    return max(1, round(seconds * fps))


def seconds_from_px(px_frames: int, fps: float = FPS) -> float:
    """Seconds that `px_frames` px frames last."""
    return px_frames / fps


def latent_size_from_px(px: int) -> int:
    """Latent rows or columns of `px` px. ValueError unless `px` is a multiple of the scale."""
    if px < SPACE_SCALE or px % SPACE_SCALE:
        raise ValueError(f"{px} px is not a multiple of {SPACE_SCALE}; try {px_near(px)}")
    return px // SPACE_SCALE


def is_px_size(px: int) -> bool:
    """Whether Wan models make video that many px wide or high."""
    return px >= PX_STEP and px % PX_STEP == 0


def px_near(px: int, step: int = SPACE_SCALE) -> int:
    """The multiple of `step`, by default the VAE's scale, nearest to `px`, at least one."""
    return max(1, round(px / step)) * step
