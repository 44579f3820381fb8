"""Published checkpoints this project knows: where they are, at which commit, under which licence.

They are listed in `repositories.json`. A `revision` is the commit the entry was written against;
without one the commit is looked up once, at the first download, and recorded beside the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any


@dataclass(frozen=True)
class Repository:
    """A repository on the Hugging Face Hub."""

    repo: str
    licence: str
    revision: str | None = None

    def licence_note(self) -> str:
        """One sentence for logs."""
        return f"weights of {self.repo}, licence: {self.licence}"


@dataclass(frozen=True)
class Download:
    """One thing to download by name.

    `about` says what it is. `local` is the file name it gets, `folder` the host's folder for its
    kind. A `.pt` transformer is converted to a safetensors file of that name; `lora` names a patch
    that is merged while converting; `causal` is false for a model that attends in both directions.
    """

    repository: Repository
    file: str
    about: str
    local: str
    folder: str = "diffusion_models"
    lora: str | None = None
    causal: bool = True


_TABLE = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
_REPOSITORIES = {entry["repo"]: Repository(**entry) for entry in _TABLE["repositories"]}


def _download(name: str, repository: str, file: str, local: str = "", **rest: Any) -> Download:
    """Unless the table gives it another, a file keeps its name; `.pt` files, of which several
    repositories have one of the same name, get the table's.
    """
    path = PurePath(file)
    local = local or (f"{name}.pt" if path.suffix == ".pt" else path.name)
    return Download(_REPOSITORIES[repository], file, local=local, **rest)


DOWNLOADS = {name: _download(name, **entry) for name, entry in _TABLE["downloads"].items()}
"""Everything that can be downloaded by name."""

_PLAIN_WORDS = ("causvid", "autoencoders")
"""Names of repositories that are names of other folders too, such as this pack's own."""


def recognise(source: str, notes: Mapping[str, Any]) -> Repository | None:
    """The known repository a file came from, by its notes, its path or its file name."""
    named = {entry.repo.lower(): entry for entry in _REPOSITORIES.values()}
    stated = str(notes.get("repository", "")).lower()
    if stated in named:
        return named[stated]
    path = PurePath(source.replace("\\", "/"))
    text = str(path).lower()
    for repo, entry in named.items():
        owner, _, name = repo.partition("/")
        if f"{owner}/{name}" in text or f"models--{owner}--{name}" in text:
            return entry
        if name not in _PLAIN_WORDS and name in (part.lower() for part in path.parts[:-1]):
            return entry
    files = {PurePath(d.local).stem: d.repository for d in DOWNLOADS.values()} | {
        PurePath(d.file).stem: d.repository
        for d in DOWNLOADS.values()
        if PurePath(d.file).stem not in ("model", "base", "diffusion_pytorch_model", "causal_model")
    }
    return files.get(path.stem)
