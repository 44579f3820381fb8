"""A notice while a long render fills the disk."""

import logging
from pathlib import Path

import folder_paths

from ....causvid_core.storage import SpaceWatch
from ....causvid_core.stream import StreamState
from ....causvid_core.stream.geometry import TIME_SCALE, seconds_from_px
from ..messages import message
from ..notice import show
from .request import StreamRequest


class SpaceNotice:
    """Says when the output folder's disk will not hold what a render of `blocks` blocks makes."""

    def __init__(self, request: StreamRequest, begun: StreamState, blocks: int) -> None:
        seconds = seconds_from_px(request.policy.frames_per_block * TIME_SCALE)
        self._watch = SpaceWatch(Path(folder_paths.get_output_directory()), seconds)
        self._begun, self._blocks = begun.blocks, blocks

    def check(self, state: StreamState) -> None:
        """Called with the stream after every block."""
        done = state.blocks - self._begun
        minutes = self._watch.minutes_left(done, self._blocks - done)
        if minutes is not None:
            show(message("space.low", minutes=f"{minutes:.1f}"), logging.WARNING)
