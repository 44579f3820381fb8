"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".causvid-partial"
_STALE_SECONDS = 24 * 3600.0


@contextmanager
def replacing(path: str | os.PathLike[str], resumable: Path | None = None) -> Iterator[Path]:
    """A temporary path in the folder of `path`, to be written; then moved to `path` in one move.

    The file is flushed to the disk before the move. However the writing ends, `path` is the old
    file or the new one: after an error the temporary file is removed, unless it is `resumable`, a
    path in the same folder that the caller chose in order to continue writing it another time.
    Raises OSError when the file cannot be written.
    """
    path = Path(path)
    _sweep(path.parent)
    partial = resumable or path.with_name(f".{secrets.token_hex(8)}{PARTIAL}")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        if resumable is None:
            partial.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left half written, once nobody can be writing it any more."""
    for left in folder.glob(f".*{PARTIAL}"):
        try:
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                left.unlink()
        except OSError:  # another process was faster, or may not be touched
            continue
