"""Names of files that belong to one writer each, and what killed writers left under them."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from .atomic import PARTIAL, move, real_path, remove_left
from .locks import LOCK, owner_if_dead, take

UNFINISHED = ".part"
SCRATCH = ".causvid-scratch-"


class Reservation:
    """A name that this process may write: write `partial`, then `commit`. A context manager.

    path: the final name. partial: where to write, `clip.part.mp4` for `clip.mp4`. Leaving the
    context without `commit` gives up the name and removes `partial`, unless `keep` is set or it
    is still as a killed writer left it; what stays is listed by `leftovers` and is written over
    by the next one that reserves the name.
    """

    def __init__(self, path: str | os.PathLike[str], replace: bool = False) -> None:
        self._target = target = real_path(path)
        self.path, self.partial = Path(path), target.with_name(partial_name(target.name))
        self.keep = self.committed = False
        self._replace = replace
        self._lock = take(target.with_name(f".{target.name}{LOCK}"))
        if self._lock.inherited and self.partial.is_symlink():
            self.partial.unlink()  # which writing would follow
        self._found = None if not self._lock.inherited else _state(self.partial)
        if not replace and self.replaces:
            self.close()
            raise FileExistsError(f"{path} already exists; choose another name")
        if os.path.lexists(self.partial) and not self._lock.inherited:
            self._lock.release()
            raise FileExistsError(
                f"{self.partial} is in the way, and no render left it; rename it or delete it"
            )

    def __enter__(self) -> Reservation:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def replaces(self) -> bool:
        """Whether there is a file of that name, which `commit` replaces."""
        return not self.committed and self._target.exists()

    @property
    def where(self) -> Path:
        """Where what was written is now."""
        return self.path if self.committed else self.partial

    def settle(self, finished: bool) -> None:
        """Commit; but an unfinished file replaces no other, it stays as `partial`. As `commit`."""
        if finished or not self.replaces:
            self.commit()
        else:
            self.keep = True
            self.close()

    def commit(self) -> None:
        """Give the file its name once it is on the disk; the folder is flushed, too.

        Raises FileExistsError, and keeps `partial`, if another program has made a file of that
        name meanwhile and it may not be replaced; OSError when it cannot be moved.
        """
        try:
            move(self.partial, self._target, self._replace)
        except FileExistsError:
            self.keep = True
            raise FileExistsError(
                f"{self.path} was made by another program meanwhile; what was written is in "
                f"{self.partial}"
            ) from None
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{self.path.name} is lost: it or its folder was deleted while it was being written"
            ) from None
        except BaseException:
            self.keep = True
            raise
        self.committed = True
        self._lock.release()

    def close(self) -> None:
        """Give up the name; harmless when it is given up already."""
        if self.committed:
            return
        left = _state(self.partial)
        keep = left is not None and (self.keep or left == self._found)
        if left is not None and not keep:
            self.partial.unlink(missing_ok=True)
        self._lock.release(keep=keep)


class Leftover(NamedTuple):
    """A file that a writer did not finish. dead: that process is provably gone."""

    path: Path
    bytes: int
    dead: bool


def reserve(path: str | os.PathLike[str], replace: bool = False) -> Reservation:
    """Hold a name for one writer, on network shares too.

    Raises FileExistsError in a sentence when another writer holds the name, or when the file
    exists and not `replace`; OSError or ValueError for what cannot be a file.
    """
    return Reservation(path, replace)


def reserve_first(paths: Iterable[Path]) -> Reservation:
    """Hold the first of several names that is free. FileExistsError when none is."""
    for path in paths:
        try:
            return Reservation(path)
        except FileExistsError:
            continue
    raise FileExistsError("none of the names is free; choose another one")


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A folder for the time of the context; those of killed processes beside it are removed."""
    for lock, left in _locks(parent):
        if left.name.startswith(SCRATCH) and owner_if_dead(lock)[1]:
            remove_left(lock, left)
    folder = parent / f"{SCRATCH}{secrets.token_hex(8)}"
    held = take(folder.with_name(folder.name + LOCK))
    try:
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        held.release()


def partial_name(name: str) -> str:
    """`clip.part.mp4` for `clip.mp4`. Raises ValueError for the name of an unfinished file."""
    if name.endswith(PARTIAL) or name.startswith(SCRATCH[1:]) or is_unfinished(name):
        raise ValueError(f"{name} is the name of an unfinished file; choose one without .part")
    path = Path(name)
    return f"{path.stem}{UNFINISHED}{path.suffix}"


def is_unfinished(name: str | os.PathLike[str]) -> bool:
    """Whether a file's name says that its writer has not finished it."""
    return UNFINISHED in (Path(name).suffix, Path(Path(name).stem).suffix)


def leftovers(folder: str | os.PathLike[str]) -> list[Leftover]:
    """Files of writers that hold a lock in a folder or left one there, by name."""
    found = []
    for lock, path in _locks(Path(folder)):
        dead = owner_if_dead(lock)[1]
        try:
            found.append(Leftover(path, path.stat().st_size, dead))
        except OSError:  # nothing was written yet
            continue
    return found


def sweep(folder: str | os.PathLike[str]) -> list[Leftover]:
    """Remove what is provably dead in a folder; returns what was removed."""
    removed = []
    for lock, path in _locks(Path(folder)):
        if owner_if_dead(lock)[1]:
            state = _state(path)
            if remove_left(lock, path) and state is not None:
                removed.append(Leftover(path, state[1], True))
    return removed


def _locks(folder: Path) -> list[tuple[Path, Path]]:
    """The lock files in a folder, each with the partial file it stands for.

    That file is known by the lock's name; what is in a lock cannot point to another file.
    """
    found = []
    for lock in sorted(folder.glob(f".*{LOCK}")):
        held = lock.name.removesuffix(LOCK)
        try:
            hidden = held.endswith((UNFINISHED, PARTIAL)) or held.startswith(SCRATCH)
            found.append((lock, lock.with_name(held if hidden else partial_name(held[1:]))))
        except ValueError:
            continue
    return found


def _state(path: Path) -> tuple[int, int, int] | None:
    """Changes when somebody writes the file; None when it is not there."""
    try:
        stat = path.lstat()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
