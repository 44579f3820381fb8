"""One file of a repository at one commit: resumed, checked, and moved into place when complete.

`huggingface_hub.hf_hub_download` would do, but its newer versions delete what an interrupted call
has fetched. The library's addresses, headers, tokens and retries are used all the same.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlparse

from ...hashing import file_sha256
from ...storage.atomic import remove_left, replacing
from ...storage.locks import LOCK
from .errors import CheckpointError

_NETWORK_LIBRARIES = {"requests", "urllib3", "httpx", "httpx2", "httpcore", "huggingface_hub"}


def resolve(repo: str) -> str:
    """The commit that the repository's main branch points to now."""
    from huggingface_hub import HfApi

    with _one_sentence(repo, "its main branch"):
        return str(HfApi(endpoint=_endpoint()).model_info(repo).sha)


def fetch(
    repo: str,
    file: str,
    commit: str,
    target: Path,
    progress: Callable[[int, int], None] | None = None,
    recorded: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Download `file` to `target`; returns its size, etag and, for large files, SHA-256.

    What an earlier call has fetched is kept in a hidden `.part` file and continued. `recorded`
    is the answer of an earlier call: other content under the same commit is refused. Raises
    CheckpointError.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    url = hf_hub_url(repo, file, revision=commit, endpoint=_endpoint())
    with _one_sentence(repo, file):
        remote = get_hf_file_metadata(url)
    facts = _facts(repo, file, commit, remote)
    if recorded and recorded != facts:
        raise CheckpointError(
            f"{repo}/{file} has changed since it was first downloaded at commit {commit[:12]} "
            f"({recorded['etag'][:12]} before, {facts['etag'][:12]} now); it is refused"
        )
    size = facts["bytes"]
    part = target.with_name(f".{target.name}.{facts['etag'][:12]}.part")
    if part.exists() and part.stat().st_size > size:
        part.unlink()
    done = part.stat().st_size if part.exists() else 0
    _check_space(target.parent, size - done, file)
    headers = build_hf_headers()
    if urlparse(remote.location).netloc != urlparse(url).netloc:
        headers.pop("authorization", None)
    with replacing(target, resumable=part):
        with part.open("ab") as stream, _one_sentence(repo, file):
            http_get(
                remote.location,
                cast(BinaryIO, _Counted(stream, size, progress)),
                resume_size=done,
                headers=headers,
                expected_size=size,
                displayed_filename=Path(file).name,
            )
        if "sha256" in facts and file_sha256(part) != facts["sha256"]:
            part.unlink()
            raise CheckpointError(
                f"{repo}/{file} arrived damaged: its SHA-256 is not the announced "
                f"{facts['sha256'][:12]}...; download it again"
            )
    _remove_old_parts(target)
    return facts


def _remove_old_parts(target: Path) -> None:
    """What was fetched of earlier contents of a file, unless another process still fetches it."""
    for left in target.parent.glob(".*.part"):
        if left.name.startswith(f".{target.name}."):
            remove_left(left.with_name(left.name + LOCK), left)


class _Counted:
    """A file that reports how far it is; all that `http_get` asks of a file."""

    def __init__(
        self, stream: BinaryIO, total: int, progress: Callable[[int, int], None] | None
    ) -> None:
        self._stream, self._total, self._progress = stream, total, progress
        self.name, self.tell = stream.name, stream.tell
        self.seek, self.truncate, self.flush = stream.seek, stream.truncate, stream.flush

    def write(self, chunk: bytes) -> int:
        written = self._stream.write(chunk)
        if self._progress is not None:
            self._progress(self._stream.tell(), self._total)
        return written


def _facts(repo: str, file: str, commit: str, remote: Any) -> dict[str, Any]:
    if remote.commit_hash != commit:
        raise CheckpointError(
            f"{repo} served commit {remote.commit_hash} for {file}, expected {commit}; "
            "check HF_ENDPOINT"
        )
    if remote.size is None or remote.etag is None:
        raise CheckpointError(f"{repo} does not tell the size of {file}; check HF_ENDPOINT")
    facts = {"bytes": remote.size, "etag": remote.etag}
    # Large files are stored under their SHA-256, which is their etag.
    if re.fullmatch(r"[0-9a-f]{64}", remote.etag):
        facts["sha256"] = remote.etag
    return facts


def _check_space(folder: Path, needed: int, file: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CheckpointError(
            f"{file} needs {needed / 1e9:.1f} GB more, {folder} has {free / 1e9:.1f} GB free; "
            "make room or choose another folder"
        )


def _endpoint() -> str | None:
    """Read at each call: the library itself reads the variable only when it is imported."""
    return os.environ.get("HF_ENDPOINT") or None


@contextlib.contextmanager
def _one_sentence(repo: str, what: str) -> Iterator[None]:
    """Turn what the network libraries raise into one sentence; other errors pass."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise CheckpointError(
            f"{repo} asks to accept its terms first: open its page in a browser, then set HF_TOKEN"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(
            f"{repo} does not exist on the Hub, or is private and needs HF_TOKEN"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(f"{repo} no longer has the commit this was made for") from error
    except errors.EntryNotFoundError as error:
        raise CheckpointError(f"{repo} has no file {what} at this commit") from error
    except Exception as error:
        library = type(error).__module__.partition(".")[0]
        if not isinstance(error, OSError) and library not in _NETWORK_LIBRARIES:
            raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{what} of {repo} could not be downloaded ({reason}); "
            "run the same command again, it continues where it stopped"
        ) from error
