"""Stream files in ComfyUI's output and input folders: listed, written and opened."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import folder_paths

from ....causvid_core import load_stream, save_stream
from ....causvid_core.storage import SUFFIX, is_stream_file
from ....causvid_core.stream import StreamState, snapshot
from ....causvid_core.stream.geometry import SPACE_SCALE
from .. import files
from ..messages import message
from ..notice import show

LIGHT, EXACT = CONTENTS = ("light", "exact")

_KIND = "file.kind_stream"
_OUTPUT_MARK = " [output]"  # how the host writes that a file lies in its output folder
_LONGEST_METADATA = 4 * 2**20


def stream_names() -> list[str]:
    """Stream files below both folders that may be offered, newest first."""
    found = []
    for folder, mark in ((files.output_folder(), _OUTPUT_MARK), (files.input_folder(), "")):
        for path in files.files_in(folder, {SUFFIX}):
            stat = path.stat()
            if _is_stream(str(path), stat.st_mtime_ns, stat.st_size):
                name = path.relative_to(folder).as_posix() + mark
                if files.may_be_offered(name):
                    found.append((-stat.st_mtime_ns, name))
    return [name for _, name in sorted(found)]


def stream_path(name: str) -> Path:
    """The file behind a name of `stream_names`. Raises FileNotFoundError or ValueError."""
    plain, annotated = folder_paths.annotated_filepath(name)
    folder = Path(annotated).resolve() if annotated else files.input_folder()
    if folder not in (files.output_folder(), files.input_folder()):
        raise ValueError(message("file.input_or_output_only"))
    path = files.file_within(folder, plain, _KIND)
    if path.suffix != SUFFIX:
        raise ValueError(message("file.no_stream", name=f"{path.name!r:.100}", suffix=SUFFIX))
    return path


def save(state: StreamState, prefix: str, contents: str, hidden: Any) -> tuple[dict[str, str], str]:
    """Write a stream under the host's numbered name for `prefix`.

    hidden: of the node; its graph goes into the file, as `workflow_metadata` gives it. Returns
    the file as the host's interface names it, and a line about it.
    """
    width, height = state.width * SPACE_SCALE, state.height * SPACE_SCALE
    file = files.output_file(prefix, SUFFIX, width, height)
    state, held = _filled(state, contents)
    save_stream(state, file.path, _metadata(hidden))
    size = files.in_bytes(file.path.stat().st_size)
    text = message("stream.saved", name=file.name, size=size, contents=held)
    entry = {"filename": file.filename, "subfolder": file.subfolder, "type": "output"}
    return entry, text


def load(name: str) -> StreamState:
    """The stream behind a name. Raises as `stream_path` and `load_stream` do."""
    return load_stream(stream_path(name))


def identity(name: str | None) -> str:
    """Changes when the file does; empty when it is not there, or the name not yet known."""
    try:
        return files.file_identity(stream_path(name)) if name else ""
    except (OSError, ValueError):
        return ""


def _filled(state: StreamState, contents: str) -> tuple[StreamState, str]:
    """The state as it goes into the file, and in words what of it does."""
    if contents != EXACT:
        return state.light(), message("stream.contents_light")
    try:
        state = snapshot(state)
    except ValueError:
        show(message("stream.no_cache_to_save"))
    if state.snapshot is None:
        return state, message("stream.contents_light")
    key = "stream.contents_int8" if state.snapshot.scales else "stream.contents_exact"
    return state, message(key)


def _metadata(hidden: Any) -> dict[str, str]:
    metadata = files.workflow_metadata(hidden)
    if sum(map(len, metadata.values())) > _LONGEST_METADATA:
        show(message("stream.workflow_too_large"))
        return {}
    return metadata


@lru_cache(maxsize=4096)
def _is_stream(path: str, mtime_ns: int, size: int) -> bool:
    return is_stream_file(path)
