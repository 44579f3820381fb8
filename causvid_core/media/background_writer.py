"""Writing a video file while its frames are made."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from functools import partial

from torch import Tensor

from .pixels import as_levels
from .writer import VideoFile

log = logging.getLogger("causvid")

WAITING = 8  # pieces, of a latent frame each, that may wait for the thread


class VideoWriter:
    """A `VideoFile` on a thread of its own, so that encoding overlaps with making the frames.

    A context manager; `write` blocks while `WAITING` pieces wait. An error in the thread is raised
    by the next `write` or by `close`. However the context is left, everything that was written is
    in the file and the thread has ended.
    """

    def __init__(self, file: VideoFile) -> None:
        self._file = file
        self._pieces: queue.Queue[Tensor | None] = queue.Queue(WAITING)
        self._error: Exception | None = None
        self._raised = False
        self._thread = threading.Thread(target=self._run, name="causvid-writer", daemon=True)
        self._thread.start()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._file.finished = self._file.finished and error is None
        try:
            self.close()
        except OSError as second:
            if error is None:
                raise
            log.warning("%s", second)  # the first error is the one to raise

    @property
    def px_frames(self) -> int:
        """How many are in the file; after `close`, all that were written."""
        return self._file.px_frames

    def write(self, frames: Tensor) -> None:
        """Hand over px frames `[T, H, W, 3]`, floats in 0..1 on any device; waits for the device.

        Raises OSError when the file cannot be written, ValueError when the frames do not fit.
        """
        self._raise()
        self._pieces.put(as_levels(frames, self._file.deep).cpu())

    def close(self) -> None:
        """Wait until everything is written and end the file; closing twice is harmless."""
        if self._thread.is_alive():
            self._pieces.put(None)
            self._thread.join()
        self._raise()

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if self._error is None:  # after an error the rest is taken in and dropped
                self._try(partial(self._file.add, piece))
        self._try(self._file.close)

    def _try(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # raised in the caller's thread
            self._error = self._error or error

    def _raise(self) -> None:
        if self._error is not None and not self._raised:
            self._raised = True
            raise self._error
