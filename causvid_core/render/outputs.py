"""The files that a render writes: their names are its own from the beginning to the end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, count, islice
from pathlib import Path
from typing import NamedTuple

from ..storage.atomic import real_path, same_file
from ..storage.reserve import (
    Reservation,
    is_unfinished,
    leftovers,
    partial_name,
    reserve,
    reserve_first,
)
from .request import RenderRequest

log = logging.getLogger("causvid")

_MOST_NAMES = 10**6
_INPUTS = "schedule image video resume checkpoint lora vae context".split()


class Outputs(NamedTuple):
    """stream, sheet: None where they were not asked for."""

    film: Reservation
    stream: Reservation | None
    sheet: Reservation | None

    def unfinished_stream(self, folder: Path | None = None) -> Reservation:
        """A name for the stream of a render that was stopped; it replaces no other.

        folder: where it goes instead of where it belongs; made if need be.
        """
        film = self.film.path
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            film = folder / film.name
        elif self.stream is not None and not self.stream.replaces:
            return self.stream
        first = film.with_suffix(".stream.safetensors")
        later = (film.with_suffix(f".stream-{n}.safetensors") for n in count(2))
        return reserve_first(islice(chain([first], later), _MOST_NAMES))


@contextmanager
def reserved(request: RenderRequest, suffix: str) -> Iterator[Outputs]:
    """Hold the names of a render's files, while it lasts.

    suffix: of a video that the request does not name. Raises ValueError when two of the files are
    one, FileExistsError when one exists or is being written, OSError when it cannot be.
    """
    _check_apart(request)
    with ExitStack() as held:
        film = held.enter_context(_film(request, suffix))
        stream = _asked(held, "--save-stream", request.save_stream, request.overwrite)
        sheet = _asked(held, "--sheet", request.sheet, request.overwrite)
        _tell_leftovers(film.path.parent)
        yield Outputs(film, stream, sheet)


def _film(request: RenderRequest, suffix: str) -> Reservation:
    if request.out is None:
        names = (f"video-{n}{suffix}" if n > 1 else f"video{suffix}" for n in count(1))
        return reserve_first(map(Path, islice(names, _MOST_NAMES)))
    return _reserve("--out", request.out, request.overwrite)


def _asked(held: ExitStack, option: str, path: Path | None, overwrite: bool) -> Reservation | None:
    return None if path is None else held.enter_context(_reserve(option, path, overwrite))


def _reserve(option: str, path: Path, overwrite: bool) -> Reservation:
    if not overwrite and real_path(path).exists():
        raise FileExistsError(
            f"{path} already exists; choose another {option}, or replace it with --overwrite"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    return reserve(path, replace=overwrite)


def _check_apart(request: RenderRequest) -> None:
    """Raises ValueError when a file would be written over one that is read, or over another."""
    written = {"out": request.out, "save-stream": request.save_stream, "sheet": request.sheet}
    asked = {name: path for name, path in written.items() if path is not None}
    for name in _INPUTS:
        source = getattr(request, name)
        if source is not None and Path(source).is_file():
            asked[name] = Path(source)
            if is_unfinished(source):
                log.warning("%s is unfinished: the render that wrote it was killed", source)
    order = list(asked)
    for first in filter(written.get, order):
        target = asked[first]
        names = (target, target.with_name(partial_name(target.name)))
        for second in order[order.index(first) + 1 :]:
            if any(same_file(name, asked[second]) for name in names):
                raise ValueError(
                    f"--{second} and --{first} are the same file, {target}; choose another "
                    f"--{first}"
                )


def _tell_leftovers(folder: Path) -> None:
    dead = [left.path.name for left in leftovers(folder) if left.dead]
    if dead:
        log.warning(
            "killed renders left %s in %s; remove them with: python -m causvid_core sweep %s",
            ", ".join(dead),
            folder,
            folder,
        )
