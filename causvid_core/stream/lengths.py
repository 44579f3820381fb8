"""How many blocks a length comes to, and what blocks come to in px frames."""

from __future__ import annotations

from . import geometry
from .state import StreamState
from .window import WindowPolicy


def latent_frames_for(state: StreamState, px_frames: int) -> int:
    """Fewest latent frames that add `px_frames` px frames to a stream."""
    continued = int(state.blocks > 0)  # only the very first px frame has a latent frame of its own
    return geometry.latent_frames_from_px(px_frames + continued) - continued


def blocks_for(state: StreamState, px_frames: int) -> int:
    """Fewest blocks that add `px_frames` px frames to a stream."""
    return WindowPolicy.of(state.recipe).blocks_for(
        state.blocks, latent_frames_for(state, px_frames)
    )


def px_of(policy: WindowPolicy, first: int, blocks: int) -> int:
    """Px frames of `blocks` blocks from block `first` on, without a cut among them."""
    frames = policy.frames_before(first + blocks) - policy.frames_before(first)
    return frames * geometry.TIME_SCALE - (0 if first else geometry.TIME_SCALE - 1)


def whole_px(state: StreamState, wanted: int, given: int, hold: bool) -> int:
    """Px frames of the fewest whole blocks that hold `wanted` px frames, of `given` that there are.

    One block fewer where it could only be filled by repeating the last frame, unless `hold`; at
    least one.
    """
    policy, blocks = WindowPolicy.of(state.recipe), blocks_for(state, wanted)
    if px_of(policy, state.blocks, blocks) > given and not hold:
        blocks = max(1, blocks - 1)
    return px_of(policy, state.blocks, blocks)
