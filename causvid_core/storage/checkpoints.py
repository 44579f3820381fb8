"""Checkpoints of a render, from which the same render resumes after it was killed.

They lie in a journal whose name is a digest of everything that decides the result, so that only
the same render finds it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from ..hashing import content_hash
from ..stream.segment import CARRY
from ..stream.snapshots import snapshot
from ..stream.state import StreamState
from .disk import DiskStore
from .journal import StreamJournal, load_journal
from .locks import LOCK, Held, Lock, take

SUFFIX = ".journal"

Event = Literal["resuming", "unusable", "not_written", "elsewhere", "in_use"]
Say = Callable[[Event, dict[str, Any]], object]
"""Called with what happened: "resuming" (done, blocks), "unusable" (error), "not_written" (error),
"elsewhere" (folder), "in_use" (name)."""


class Checkpoints:
    """The checkpoints of one render; called with the stream after every block, it writes after
    every `every`-th.

    folders: where they may go, the best first. key: gives what `render_key` does; called when it
    is needed, because it reads all that the stream has. begun, blocks: the stream
    as the render finds it, and how many blocks it adds. Nothing that happens to the files ends the
    render: it is told to `say`, once of its kind.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        key: Callable[[], str],
        begun: StreamState,
        blocks: int,
        every: int,
        say: Say,
    ) -> None:
        self._folders, self._key = folders, key
        self._begun, self._blocks, self._every, self._say = begun, blocks, every, say
        # A cache in 8 bits cannot be recomputed from latents, so it has to be saved.
        self._exact = begun.snapshot is not None and bool(begun.snapshot.scales)
        self._journal: StreamJournal | None = None
        self._lock: Lock | None = None
        self._file: os.stat_result | None = None
        self._said: set[Event] = set()
        self._off = False

    @cached_property
    def _paths(self) -> list[Path]:
        """The journals, the one to write first."""
        name = f"{self._key()}{SUFFIX}"
        return [folder / name for folder in self._folders]

    def resume(self, store: DiskStore | None = None) -> StreamState:
        """The stream as far as an earlier run of this render came; else as it begins.

        store: where its latents go, if not into memory.
        """
        best = self._begun
        if not any(any(folder.glob(f"*{SUFFIX}")) for folder in self._folders):
            return best  # without reading a long stream for its key
        for path in self._paths:
            try:
                found = load_journal(path, self._begun, store, cached=self._exact)
            except (ValueError, OSError) as error:
                self._tell("unusable", error=error)
                continue
            if found is not None and (found := self._to_finish(found)).blocks > best.blocks:
                best = found
        if best is not self._begun:
            done = best.blocks - self._begun.blocks
            self._tell("resuming", done=done, blocks=self._blocks)
        return best

    def __call__(self, state: StreamState) -> None:
        """Write a checkpoint when it is time."""
        done = state.blocks - self._begun.blocks
        if not self._off and done % self._every == 0 and done < self._blocks:
            self.save(state)

    def save(self, state: StreamState) -> Path | None:
        """Write what `state` has beyond the last checkpoint; where it is, None if nowhere.

        Elsewhere if a folder is on a full disk; if all are, in place of the oldest checkpoints of
        others.
        """
        try:
            state = snapshot(state) if self._exact else state.light()
        except (OSError, RuntimeError, ValueError) as error:
            self._tell("not_written", error=error)
            return None
        errors: list[Exception] = []
        for path in list(self._paths):
            if self._written(path, state, errors):
                if path != self._paths[0]:
                    self._tell("not_written", error=errors[0])
                    self._tell("elsewhere", folder=path.parent)
                    self._paths.remove(path)
                    self._paths.insert(0, path)
                return None if self._off else path
        for path, why in zip(list(self._paths), list(errors), strict=True):
            while _is_full(why) and self._drop_oldest(path.parent):
                if self._written(path, state, errors):
                    return path
        self._tell("not_written", error=errors[0])
        return None

    def _written(self, path: Path, state: StreamState, errors: list[Exception]) -> bool:
        """Whether a checkpoint could be written; else says why in `errors`."""
        try:
            self._append(path, state)
        except (OSError, ValueError) as error:
            self.close()
            errors.append(error)
            return False
        return True

    def remove(self) -> None:
        """The render's results are safe: nobody will resume it."""
        self.close()
        if not self._off and "_paths" in vars(self):  # else none was found or written
            for path in self._paths:
                if path.parent.is_dir():
                    remove_checkpoints(path)
                    with suppress(OSError):
                        path.parent.rmdir()  # nothing else is in it

    def close(self) -> None:
        """Leave the checkpoints for another run, or for `remove`."""
        if self._journal is not None:
            self._journal.close()
        if self._lock is not None:
            self._lock.release()
        self._journal = self._lock = self._file = None

    def _append(self, path: Path, state: StreamState) -> None:
        journal = self._journal
        if journal is not None and journal.path == path and _is_at(self._file, path):
            journal.append(state)
            return
        self.close()  # also when somebody removed the file, or the folder that it is in
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = take(_lock_path(path))
        except Held:
            self._off = True
            self._tell("in_use", name=path.name)
            return
        try:
            self._opened(path).append(state)
        except ValueError:  # damaged, or of blocks that this run made again
            if self._journal is not None:
                self._journal.close()
            _remove(path)
            self._opened(path).append(state)

    def _opened(self, path: Path) -> StreamJournal:
        """The journal of a path, which takes what it does not have."""
        self._journal = journal = StreamJournal(path, self._begun)
        self._file = path.stat()
        return journal

    def _drop_oldest(self, folder: Path) -> bool:
        """Remove the oldest checkpoints in a folder that nobody is writing; whether there were."""
        with suppress(OSError):
            others = [path for path in folder.glob(f"*{SUFFIX}") if path not in self._paths]
            for path in sorted(others, key=lambda path: path.stat().st_mtime):
                if remove_checkpoints(path):
                    return True
        return False

    def _to_finish(self, found: StreamState) -> StreamState:
        """`found` with a block left to make, where an error came behind the last."""
        most = self._begun.blocks + self._blocks - 1
        if found.blocks <= most:
            return found
        if self._exact or most <= self._begun.blocks:
            return self._begun
        return found._replace(history=found.history[:most], switch=CARRY, decoder=None)

    def _tell(self, event: Event, **values: Any) -> None:
        if event not in self._said:
            self._said.add(event)
            self._say(event, values)


def render_key(parts: Iterable[Any]) -> str:
    """A digest of all that decides a render's result: tensors by their bytes, else `repr`."""
    plain = (part if isinstance(part, Tensor) else repr(part) for part in parts)
    return content_hash(*map(content_hash, plain))  # one tensor in memory at a time


def decisive(state: StreamState, context: Any, switch: str, blocks: int) -> Iterator[Any]:
    """What decides the blocks that are added to a state, but not the random ids of blocks.

    For `render_key`, together with what names the footage and its strength. context: a tensor, or
    a plan of prompts.
    """
    yield from (state.recipe, state.height, state.width, state.batch, state.seed, state.model)
    yield state.switch
    for block in state.history:
        yield from block._replace(id="")
    if state.snapshot is not None and state.snapshot.scales:
        yield from (*state.snapshot.keys, *state.snapshot.values, *state.snapshot.scales)
    if isinstance(context, Tensor):
        yield context
    else:
        switch_of = getattr(context, "switch", None)
        for index in range(state.blocks, state.blocks + blocks):
            yield context.at(index)
            yield switch_of(index) if switch_of else ""
    yield switch
    yield blocks


def remove_checkpoints(path: Path) -> bool:
    """Remove a journal and the caches beside it; whether nobody is writing them."""
    try:
        lock = take(_lock_path(path))
    except OSError:
        return False
    _remove(path)
    lock.release()
    return True


def _remove(path: Path) -> None:
    with suppress(OSError):
        for own in path.parent.glob(f"{path.name}*"):
            own.unlink(missing_ok=True)


def _lock_path(path: Path) -> Path:
    return path.with_name(f".{path.name}{LOCK}")


def _is_at(file: os.stat_result | None, path: Path) -> bool:
    """Whether a file is still the one at a path."""
    try:
        return file is not None and os.path.samestat(file, path.stat())
    except OSError:
        return False


def _is_full(error: BaseException) -> bool:
    numbers = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
    chain = (error, error.__cause__, error.__context__)
    return any(isinstance(each, OSError) and each.errno in numbers for each in chain)
