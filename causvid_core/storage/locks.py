"""Lock files: who is writing, and the proof that a writer is gone.

A lock file is made by exclusive creation, which network shares keep to as well, and its maker holds
an operating system's lock on it, which ends with the process however that ends. No clock is asked.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

LOCK = ".causvid-lock"
_ATTEMPTS, _PAUSE_S = 100, 0.02
_LONGEST = 4096
_FLAGS = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
_WINDOWS_BYTE = 2**30  # that is locked: Windows lets nobody read a locked byte


class Owner(NamedTuple):
    """What a lock file says. name: of the machine; host, boot: digests of it and of its start."""

    name: str
    host: str
    boot: str
    pid: int
    locked: bool

    @property
    def is_here(self) -> bool:
        """Whether this machine made the lock file; else the lock on it may prove nothing."""
        mine = _me(True)
        return self.host == mine.host or bool(self.boot and self.boot == mine.boot)


class Held(FileExistsError):
    """Somebody else holds the lock, or may do."""


class Lock:
    """A lock file that this process holds. inherited: a writer that is gone had left it."""

    def __init__(self, path: Path, descriptor: int, inherited: bool) -> None:
        self._path, self._descriptor, self.inherited = path, descriptor, inherited

    def release(self, keep: bool = False) -> None:
        """Give it up. keep: leave the file, which then marks what a dead writer left."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        if os.name != "nt" and not keep:
            _remove(self._path)  # while it is locked, so that nobody takes over what goes
        os.close(descriptor)
        if os.name == "nt" and not keep:
            _remove(self._path)


def take(path: Path) -> Lock:
    """Hold the lock file `path`: a new one, or one whose owner is provably gone.

    Raises Held in a sentence, OSError when no file can be made there.
    """
    for _ in range(_ATTEMPTS):
        try:
            descriptor, new = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o666), True
        except FileExistsError:
            try:
                descriptor, new = os.open(path, _FLAGS), False
            except FileNotFoundError:  # released since
                continue
            except OSError as error:
                raise Held(_held(path, None)) from error
        try:
            locked = _lock(descriptor, patiently=new)
            owner = _read(descriptor)
            if not _is_at(descriptor, path):
                os.close(descriptor)
                continue
            if not new and not (locked and _proves_death(owner)):
                raise Held(_held(path, owner))
            _write(descriptor, _me(bool(locked)))
            return Lock(path, descriptor, inherited=not new)
        except BaseException:
            os.close(descriptor)
            if new:
                _remove(path)
            raise
    raise Held(_held(path, None))


def owner_if_dead(path: Path) -> tuple[Owner | None, bool]:
    """Who made a lock file, if it says so, and whether that process is provably gone."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:
        return None, False
    try:
        owner = _read(descriptor)
        if not _proves_death(owner) or not _lock(descriptor):
            return owner, False
        return owner, _is_at(descriptor, path) and _read(descriptor) == owner
    finally:
        os.close(descriptor)


def _proves_death(owner: Owner | None) -> bool:
    """Whether a lock that can be had means that its owner is gone.

    A file without an owner is being made, or its maker was killed in those microseconds.
    """
    return owner is not None and owner.locked and owner.is_here


def _held(path: Path, owner: Owner | None) -> str:
    name = path.name.removesuffix(LOCK).removeprefix(".")
    if owner is None:
        return f"{name} is being written by another process; choose another name, or delete {path}"
    if owner.is_here and owner.locked:
        return f"{name} is being written by process {owner.pid}; choose another name, or wait"
    return (
        f"{name} is being written on {owner.name}, or its writer was killed there; choose another "
        f"name, or delete {path} if nothing runs there"
    )


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def _read(descriptor: int) -> Owner | None:
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)  # which a pipe refuses
        values = json.loads(os.read(descriptor, _LONGEST))
        return Owner(*(values[field] for field in Owner._fields))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _write(descriptor: int, owner: Owner) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps(owner._asdict()).encode())


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:  # gone, or open in another process on Windows
        return


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, _WINDOWS_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        """Raises OSError where the file system has no locks."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _lock(descriptor: int, patiently: bool = False) -> bool:
    """Whether the lock could be had. patiently: others only look at the file for a moment."""
    try:
        for _ in range(_ATTEMPTS if patiently else 1):
            if _try_lock(descriptor):
                return True
            if patiently:
                time.sleep(_PAUSE_S)
    except OSError:
        return False
    return False


def _me(locked: bool) -> Owner:
    name, host, boot = _machine()
    return Owner(name, host, boot, os.getpid(), locked)


@lru_cache(maxsize=1)
def _machine() -> tuple[str, str, str]:
    name = platform.node()
    return (
        name,
        _digest(name + _text("/etc/machine-id")),
        _digest(_text("/proc/sys/kernel/random/boot_id")),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""


def _text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, ValueError):
        return ""
