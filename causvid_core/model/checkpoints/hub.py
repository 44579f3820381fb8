"""Downloads by explicit request, from the Hugging Face Hub or the mirror in `HF_ENDPOINT`.

Every file is fetched at one commit. Where the commit was known when this was written it is in
`repositories`; elsewhere the branch is looked up once, at the first download, and the answer is
kept in `<file>.source.json` beside the file: later downloads use that commit and refuse other
content. The first download of such a file trusts what the Hub serves at that moment.
"""

from __future__ import annotations

import difflib
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...storage.atomic import replacing
from . import transfer
from .conversion import convert
from .errors import CheckpointError
from .repositories import DOWNLOADS, Download, Repository

logger = logging.getLogger("causvid")

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all of the current file; may raise to cancel."""


def download(
    name: str,
    folder: str | Path | None = None,
    progress: Progress | None = None,
    *,
    as_safetensors: bool = True,
    keep_original: bool = False,
) -> Path:
    """Fetch a known checkpoint (`DOWNLOADS`) and return the path of the usable file.

    `folder` receives the file itself; None means `models/<kind>` under the current folder. A
    `.pt` transformer becomes a safetensors file which ComfyUI's own loader opens, its LoRA
    merged, unless `as_safetensors` is false. An interrupted download continues where it
    stopped, and nothing incomplete ever has the final name. The commit and the licence are
    logged. Raises CheckpointError in one sentence; what `progress` raises passes through.
    """
    entry = _entry(name)
    folder = Path(folder) if folder is not None else Path("models") / entry.folder
    is_pickle = Path(entry.local).suffix in (".pt", ".pth", ".bin", ".ckpt")
    converts = as_safetensors and entry.folder == "diffusion_models" and is_pickle
    final = folder / (Path(entry.local).stem + ".safetensors" if converts else entry.local)
    record = _read_record(final)
    if final.exists():
        return _already_there(final, record)
    folder.mkdir(parents=True, exist_ok=True)
    logger.info("%s: %s", name, entry.repository.licence_note())
    commit = record.get("commit") or _commit(entry.repository)
    logger.info("%s: %s at commit %s", name, entry.repository.repo, commit)
    record |= {
        "name": name,
        "repository": entry.repository.repo,
        "commit": commit,
        "licence": entry.repository.licence,
    }
    _write_record(final, record)
    wanted = [(entry.file, folder / entry.local)]
    if entry.lora:
        wanted.append((entry.lora, folder / f"{Path(entry.local).stem}.lora.pt"))
    files = record.setdefault("files", {})
    for file, path in wanted:
        if not path.exists():
            files[file] = transfer.fetch(
                entry.repository.repo, file, commit, path, progress, files.get(file)
            )
            _write_record(final, record)
    if converts:
        lora = wanted[1][1] if entry.lora else None
        convert(
            wanted[0][1],
            final,
            lora,
            causal=entry.causal,
            repository=entry.repository.repo,
            progress=progress,
        )
        for _, path in () if keep_original else wanted:
            _discard(path)
    _write_record(final, record | {"bytes": final.stat().st_size})
    return final


def _discard(path: Path) -> None:
    try:
        path.unlink()
    except PermissionError:
        logger.warning("%s is in use and was kept; it is no longer needed", path)


def _entry(name: str) -> Download:
    if name in DOWNLOADS:
        return DOWNLOADS[name]
    near = difflib.get_close_matches(name, DOWNLOADS, 1)
    hint = f"; did you mean {near[0]}" if near else ""
    raise CheckpointError(
        f"there is no download named {name}{hint}; known are {', '.join(DOWNLOADS)}"
    )


def _commit(repository: Repository) -> str:
    revision = repository.revision or transfer.resolve(repository.repo)
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise CheckpointError(
            f"{repository.repo} answered with commit {revision!r}, expected 40 hex digits"
        )
    return revision


def _already_there(final: Path, record: dict[str, Any]) -> Path:
    size, expected = final.stat().st_size, record.get("bytes")
    if expected is not None and size != expected:
        raise CheckpointError(
            f"{final} was changed after its download ({size:,} bytes, recorded were "
            f"{expected:,}); delete it to download it again"
        )
    logger.info("%s is there already", final)
    return final


def _record_path(final: Path) -> Path:
    return final.with_name(final.name + ".source.json")


def _read_record(final: Path) -> dict[str, Any]:
    path = _record_path(final)
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise CheckpointError(f"{path} is damaged; delete it to look the commit up again")
    return record


def _write_record(final: Path, record: dict[str, Any]) -> None:
    with replacing(_record_path(final)) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
