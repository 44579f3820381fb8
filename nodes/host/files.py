"""Files in ComfyUI's input and output folders: found by name, listed, and never outside of them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import folder_paths
from comfy.cli_args import args

from .messages import message

_DEEPEST = 6  # folders below the two
_MOST_FILES = 20_000  # looked at for a list


class OutputFile(NamedTuple):
    """A file to be written: its path, and as the host's interface names it."""

    path: Path
    filename: str
    subfolder: str

    @property
    def name(self) -> str:
        """The path below the output folder."""
        return Path(self.subfolder, self.filename).as_posix()


def output_folder() -> Path:
    """ComfyUI's output folder, with links resolved."""
    return Path(folder_paths.get_output_directory()).resolve()


def input_folder() -> Path:
    """ComfyUI's input folder, with links resolved."""
    return Path(folder_paths.get_input_directory()).resolve()


def output_file(prefix: str, suffix: str, width: int, height: int) -> OutputFile:
    """The host's next numbered name for a prefix, which may hold %width% and the like.

    Raises ValueError when files may not be written there.
    """
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
        check_prefix(prefix), str(output_folder()), width, height
    )
    check_prefix(str(Path(subfolder, name)))  # what % stands for may name a link
    filename = f"{name}_{counter:05}_{suffix}"
    return OutputFile(Path(folder) / filename, filename, subfolder)


def check_prefix(prefix: str) -> str:
    """The prefix, if files may be written under it. Raises ValueError."""
    root = output_folder()
    name = os.path.basename(os.path.normpath(prefix)) if prefix.strip() else ""
    if name in ("", ".", "..") or not prefix.isprintable():
        raise ValueError(message("file.prefix_no_name", prefix=f"{prefix!r:.100}"))
    if not (root / prefix).resolve().is_relative_to(root):
        raise ValueError(message("file.prefix_outside", prefix=f"{prefix!r:.100}"))
    return prefix


def input_names(suffixes: set[str]) -> list[str]:
    """Files below the input folder with one of the suffixes, by name, if they may be offered."""
    folder = input_folder()
    names = (path.relative_to(folder).as_posix() for path in files_in(folder, suffixes))
    return sorted(filter(may_be_offered, names))


def may_be_offered(name: str) -> bool:
    """Whether a menu may hold this name: editors before 1.40 set what it holds as HTML."""
    return "<" not in name and name.isprintable()


def input_path(name: str, kind: str) -> Path:
    """The file of a name of `input_names`. kind: the key of the message that says what it is.

    Raises FileNotFoundError or ValueError.
    """
    plain, annotated = folder_paths.annotated_filepath(name)
    if annotated and Path(annotated).resolve() != input_folder():
        raise ValueError(message("file.input_only", kind=message(kind)))
    return file_within(input_folder(), plain, kind)


def file_within(folder: Path, name: str, kind: str) -> Path:
    """The file of that name, if it is one and lies below `folder`; as `input_path`."""
    try:
        path = (folder / name).resolve()
    except (OSError, ValueError, RuntimeError):  # what no file can be called, or a loop of links
        path = folder / "\N{REPLACEMENT CHARACTER}"
    values = {"name": f"{name!r:.100}", "folder": folder.name, "kind": message(kind)}
    if not path.is_relative_to(folder):
        raise ValueError(message("file.outside", **values))
    if not os.path.isfile(path):
        raise FileNotFoundError(message("file.missing", **values))
    return path


def files_in(folder: Path, suffixes: set[str]) -> Iterator[Path]:
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


def file_identity(path: Path) -> str:
    """Changes when the file does."""
    stat = path.stat()
    return f"{path}:{stat.st_mtime_ns}:{stat.st_size}"


def workflow_metadata(hidden: Any) -> dict[str, str]:
    """The graph that a node runs in, as the host writes it into files.

    hidden: of the node. Empty when the host was started to write no metadata.
    """
    if args.disable_metadata:
        return {}
    values = dict(hidden.extra_pnginfo or {})
    if hidden.prompt is not None:
        values["prompt"] = hidden.prompt
    return {name: json.dumps(value) for name, value in values.items()}


def in_bytes(count: int) -> str:
    """A size in the unit that suits it."""
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1000:.0f} kB"
