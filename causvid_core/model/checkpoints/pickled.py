"""Looking into a refused pickle without running it: which foreign object it asks for."""

from __future__ import annotations

import io
import pickletools
import zipfile
from pathlib import Path
from typing import BinaryIO

_HARMLESS = ("torch", "collections")
_MAX_PICKLES = 8
"""The old format of `torch.save` is a handful of pickles in a row, then raw data."""


def foreign_object(path: Path, kind: str) -> str | None:
    """The first `module.name` outside PyTorch that a `zip` or `pickle` would import, if any."""
    if kind == "zip":
        with zipfile.ZipFile(path) as archive:
            name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
            return _first_foreign(io.BytesIO(archive.read(name)))
    with path.open("rb") as file:
        return _first_foreign(file)


def _first_foreign(stream: BinaryIO) -> str | None:
    strings: list[str] = []
    for _ in range(_MAX_PICKLES):
        try:
            for code, argument, _ in pickletools.genops(stream):
                if isinstance(argument, str):
                    strings.append(argument)
                if code.name == "GLOBAL":
                    name = str(argument).replace(" ", ".")
                elif code.name == "STACK_GLOBAL" and len(strings) > 1:
                    name = ".".join(strings[-2:])
                else:
                    continue
                if name.partition(".")[0] not in _HARMLESS:
                    return name
        except Exception:  # the end of the pickles, or damage
            return None
    return None
