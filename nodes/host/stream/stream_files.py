"""Stream files in ComfyUI's output and input folders: listed, written and found, never beside."""

import json
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import folder_paths
from comfy.cli_args import args

from ....causvid_core import load_stream, save_stream
from ....causvid_core.storage.stream_files import SUFFIX, is_stream_file
from ....causvid_core.stream import geometry, snapshot
from ....causvid_core.stream.state import StreamState
from ..loading.folders import file_identity
from ..notice import show

LIGHT, EXACT = "light", "exact"
CONTENTS = (LIGHT, EXACT)

_OUTPUT_MARK = " [output]"  # how the host writes that a file lies in its output folder
_DEEPEST = 6  # folders below the two
_MOST_FILES = 20_000  # looked at for a list
_LONGEST_NOTES = 4 * 2**20


class Saved(NamedTuple):
    """Where a stream went: `entry` as the host's interface names a file, and a line about it."""

    entry: dict[str, str]
    text: str


def stream_names() -> list[str]:
    """Stream files below both folders, newest first, as the host names files."""
    found = []
    for folder, mark in ((_output(), _OUTPUT_MARK), (_input(), "")):
        for path in _files(folder, {SUFFIX}):
            stat = path.stat()
            if _is_stream(str(path), stat.st_mtime_ns, stat.st_size):
                name = path.relative_to(folder).as_posix() + mark
                found.append((-stat.st_mtime_ns, name))
    return [name for _, name in sorted(found)]


def input_names(suffixes: set[str]) -> list[str]:
    """Files below the input folder with one of the suffixes, by name."""
    folder = _input()
    return sorted(path.relative_to(folder).as_posix() for path in _files(folder, suffixes))


def stream_path(name: str) -> Path:
    """The file behind a name of `stream_names`. FileNotFoundError or ValueError in a sentence."""
    plain, annotated = folder_paths.annotated_filepath(name)
    folder = Path(annotated).resolve() if annotated else _input()
    if folder not in (_output(), _input()):
        raise ValueError("Streams are loaded from ComfyUI's output and input folders only.")
    path = _within(folder, plain, "stream file")
    if path.suffix != SUFFIX:
        raise ValueError(f"{path.name!r:.100} is no stream file; those end with {SUFFIX}.")
    return path


def input_path(name: str, kind: str) -> Path:
    """The file of a name of `input_names`; as `stream_path`. kind: what it is, in a word or two."""
    plain, annotated = folder_paths.annotated_filepath(name)
    if annotated and Path(annotated).resolve() != _input():
        raise ValueError(f"A {kind} is read from ComfyUI's input folder only.")
    return _within(_input(), plain, kind)


def check_prefix(prefix: str) -> str:
    """The prefix, if files may be written under it. ValueError in a sentence."""
    root = _output()
    name = os.path.basename(os.path.normpath(prefix)) if prefix.strip() else ""
    if name in ("", ".", "..") or not prefix.isprintable():
        raise ValueError(
            f"filename_prefix is {prefix!r:.100}; write a name, such as streams/my_story."
        )
    if not (root / prefix).resolve().is_relative_to(root):
        raise ValueError(
            f"filename_prefix {prefix!r:.100} leads out of ComfyUI's output folder; write a name "
            "within it, such as streams/my_story."
        )
    return prefix


def save(
    state: StreamState, prefix: str, contents: str, prompt: Any = None, extra: Any = None
) -> Saved:
    """Write a stream under the host's numbered name for `prefix`.

    prompt, extra: the graph that made it, as the host hands it to nodes; it goes into the file
    unless the host is told to write no metadata.
    """
    scale = geometry.SPACE_SCALE
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
        check_prefix(prefix), str(_output()), state.width * scale, state.height * scale
    )
    check_prefix(str(Path(subfolder, name)))  # links may be named by what % stands for
    state, held = _filled(state, contents)
    path = Path(folder) / f"{name}_{counter:05}_{SUFFIX}"
    save_stream(state, path, _notes(prompt, extra))
    where = path.resolve().relative_to(_output()).as_posix()
    text = f"{where} in the output folder: {in_bytes(path.stat().st_size)}, {held}"
    return Saved({"filename": path.name, "subfolder": subfolder, "type": "output"}, text)


def load(name: str) -> StreamState:
    """The stream behind a name. Raises as `stream_path` and `load_stream` do."""
    return load_stream(stream_path(name))


def identity(name: str) -> str:
    """Changes when the file does; empty when it is not there."""
    try:
        return file_identity(stream_path(name))
    except (OSError, ValueError):
        return ""


def in_bytes(count: int) -> str:
    """A size in the unit that suits it."""
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1000:.0f} kB"


def _filled(state: StreamState, contents: str) -> tuple[StreamState, str]:
    """The state as it goes into the file, and in words what of it does."""
    if contents != EXACT:
        return state.light(), "latents and prompts"
    try:
        state = snapshot(state)
    except ValueError:
        show("The keys and values of this stream are not in memory; saving latents and prompts.")
    if state.snapshot is None:
        return state, "latents and prompts"
    bits = "in 8 bits, not exact" if state.snapshot.scales else "exact"
    return state, f"latents, prompts, keys and values ({bits})"


def _notes(prompt: Any, extra: Any) -> dict[str, str]:
    if args.disable_metadata:
        return {}
    values = ({} if prompt is None else {"prompt": prompt}) | (extra or {})
    notes = {name: json.dumps(value) for name, value in values.items()}
    if sum(map(len, notes.values())) > _LONGEST_NOTES:
        show("The workflow is too large to go into the stream file and was left out.")
        return {}
    return notes


def _within(folder: Path, name: str, kind: str) -> Path:
    try:
        path = (folder / name).resolve()
    except (OSError, ValueError, RuntimeError):  # what no file can be called, or a loop of links
        path = folder / "\N{REPLACEMENT CHARACTER}"
    if not path.is_relative_to(folder):
        raise ValueError(
            f"{name!r:.100} lies outside of ComfyUI's {folder.name} folder; copy the {kind} there."
        )
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"There is no {kind} {name!r:.100} in ComfyUI's {folder.name} folder; press R to "
            "refresh the list."
        )
    return path


def _files(folder: Path, suffixes: set[str]) -> Iterator[Path]:
    """Files with one of the suffixes; links to folders are not followed, links out are left out."""
    seen = 0
    for where, folders, names in os.walk(folder):
        depth = len(Path(where).relative_to(folder).parts)
        folders[:] = sorted(n for n in folders if not n.startswith(".") and depth < _DEEPEST)
        for name in names:
            seen += 1
            if seen > _MOST_FILES:
                return
            path = Path(where, name)
            if path.suffix.lower() in suffixes and not name.startswith("."):
                inside = not path.is_symlink() or path.resolve().is_relative_to(folder)
                if inside and path.is_file():
                    yield path


@lru_cache(maxsize=4096)
def _is_stream(path: str, mtime_ns: int, size: int) -> bool:
    return is_stream_file(path)


def _output() -> Path:
    return Path(folder_paths.get_output_directory()).resolve()


def _input() -> Path:
    return Path(folder_paths.get_input_directory()).resolve()
