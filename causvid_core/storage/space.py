"""How long the space on a disk will last at the rate at which a render fills it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

MEASURED_BLOCKS = 4
"""Blocks before the rate is believed."""


class SpaceWatch:
    """Watches the disk of a folder while blocks are made.

    seconds_per_block: of video. free: bytes free on the disk of a folder; injected by tests.
    """

    def __init__(
        self,
        folder: Path,
        seconds_per_block: float,
        free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self._folder, self._seconds, self._free = folder, seconds_per_block, free
        self._begun = self._look()
        self._said_minutes: float | None = None

    def minutes_left(self, done: int, left: int) -> float | None:
        """Minutes of video for which there is space, if they are fewer than `left` blocks need.

        done: blocks made since the watch began. None also when that was said already: it is said
        again when half of it is left.
        """
        now = self._look()
        if done < MEASURED_BLOCKS or now is None or self._begun is None or now >= self._begun:
            return None
        blocks = now * done / (self._begun - now)
        minutes = blocks * self._seconds / 60
        if blocks >= left or (self._said_minutes is not None and minutes > self._said_minutes / 2):
            return None
        self._said_minutes = minutes
        return minutes

    def _look(self) -> int | None:
        """Bytes free; None while the folder cannot be seen."""
        try:
            return self._free(self._folder)
        except OSError:
            return None
