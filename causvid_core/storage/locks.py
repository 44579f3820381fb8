"""Locks on open files, which end with the process that holds them, however it ends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, Any

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_FAR = 2**40  # Windows locks bytes, and nobody else may touch them: one far behind any content


def try_lock(file: IO[Any]) -> bool:
    """Lock an open file for this process, without waiting. False when another holder has it.

    The lock ends when `file` is closed. On Windows the file's position is lost.
    """
    try:
        if sys.platform == "win32":
            file.seek(_FAR)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_idle(path: Path) -> bool:
    """Whether a file is there and no process of this machine has it locked."""
    try:
        with path.open("rb+") as file:
            return try_lock(file)
    except OSError:
        return False
