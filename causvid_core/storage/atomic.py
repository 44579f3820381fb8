"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .locks import LOCK, owner_if_dead, take

PARTIAL = ".causvid-partial"
# What file systems without hard links answer.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


@contextmanager
def replacing(path: str | os.PathLike[str], resumable: Path | None = None) -> Iterator[Path]:
    """A temporary path in the folder of `path`, to be written; then moved to `path` in one move.

    The file is flushed to the disk before the move, its folder after it. However the writing ends,
    `path` is the old file or the new one: after an error the temporary file is removed, unless it
    is `resumable`, a path in the same folder that the caller chose in order to continue writing it
    another time. A replaced file's permissions stay; a link stays, and what it leads to is
    replaced. Raises ValueError for what is no file name, OSError when the file cannot be written.
    """
    target = real_path(path)
    _sweep(target.parent)
    partial = resumable or target.with_name(f".{secrets.token_hex(8)}{PARTIAL}")
    lock = take(partial.with_name(partial.name + LOCK))
    try:
        yield partial
        move(partial, target, replace=True)
    finally:
        if resumable is None:
            partial.unlink(missing_ok=True)
        lock.release()


def real_path(path: Any) -> Path:
    """The file that a name stands for, behind all links; it need not exist.

    Raises ValueError for what is no file name, OSError for a loop of links or what is no file.
    """
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise ValueError(f"{path!r:.100} is not a file name; give a path, such as 'clip.mp4'")
    if "\0" in os.fspath(path) or not Path(path).name:
        raise ValueError(f"{os.fspath(path)!r:.100} is not a file name; give one without NUL")
    real = Path(os.path.realpath(path))
    try:
        mode = real.stat().st_mode
    except FileNotFoundError:
        return real
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(f"{path} is a link that leads back to itself; delete it") from None
        raise
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{path} is a folder; give the name of a file")
    if not stat.S_ISREG(mode):
        raise OSError(f"{path} is a device or a pipe; give the name of a file")
    return real


def same_file(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> bool:
    """Whether two names stand for one file: through links, or in letters of another case."""
    try:
        return os.path.samefile(first, second)
    except OSError:  # one of them does not exist
        return os.path.realpath(first) == os.path.realpath(second)


def move(partial: Path, target: Path, replace: bool) -> None:
    """Flush a file to the disk and give it its name, with the permissions of what it replaces.

    Raises FileExistsError if there is a file of that name, unless `replace`.
    """
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    if replace:
        with suppress(FileNotFoundError):
            _take_permissions(partial, target.stat())
        os.replace(partial, target)
    else:
        _move_beside(partial, target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, where the system can: Windows does it by itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # what some network shares answer
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def sync_files(folder: Path) -> None:
    """Put the files in a folder, and their names, on the disk."""
    for path in folder.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    sync_folder(folder)


def _move_beside(partial: Path, target: Path) -> None:
    """Move without replacing anything, in one step where the file system has one."""
    if os.name == "nt":
        partial.rename(target)  # which Windows refuses if there is such a file
        return
    try:
        os.link(partial, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "there is such a file", str(target)) from None
        partial.rename(target)
    else:
        partial.unlink()


def _take_permissions(partial: Path, old: os.stat_result) -> None:
    """Give a file the permissions of another and, where that is allowed, its owner and group."""
    if os.name != "nt":
        new = partial.stat()
        if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
            with suppress(OSError):
                os.chown(partial, old.st_uid, old.st_gid)
    with suppress(OSError):
        partial.chmod(stat.S_IMODE(old.st_mode))


def _sweep(folder: Path) -> None:
    """Remove the temporary files of writers that are provably gone."""
    for lock in folder.glob(f".*{PARTIAL}{LOCK}"):
        if owner_if_dead(lock)[1]:
            remove_left(lock, lock.with_name(lock.name.removesuffix(LOCK)))


def remove_left(lock: Path, partial: Path) -> bool:
    """Remove what a dead writer left; whether that could be done."""
    try:
        held = take(lock)
    except OSError:  # another process was faster, or it may not be touched
        return False
    try:
        if partial.is_dir() and not partial.is_symlink():
            shutil.rmtree(partial)
        else:
            partial.unlink(missing_ok=True)
    except OSError:
        held.release(keep=True)
        return False
    held.release()
    return True
