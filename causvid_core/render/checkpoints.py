"""The checkpoints of a render from the command line: where they lie and what is said of them."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..storage.checkpoints import Checkpoints, Event, decisive, render_key
from ..stream.geometry import FPS
from .plan import Plan
from .request import RenderRequest

log = logging.getLogger("causvid")

FOLDER = ".causvid-checkpoints"  # next to the video
_SENTENCES: dict[Event, str] = {
    "resuming": "resuming after block {done} of {blocks}, from the checkpoint of an earlier run",
    "unusable": "a checkpoint cannot be used: {error}",
    "not_written": "no checkpoint could be written: {error}",
    "elsewhere": "checkpoints go to {folder} now",
    "in_use": "another process renders the same; only its checkpoints are kept",
}


def checkpoints(request: RenderRequest, plan: Plan, out: Path) -> Checkpoints:
    """Those of a render to `out`; with --checkpoint-blocks 0 there is one only after an error."""
    if request.checkpoint_blocks < 0:
        raise ValueError(
            f"--checkpoint-blocks is {request.checkpoint_blocks}; give 0 or a number of blocks"
        )
    every = request.checkpoint_blocks or plan.blocks
    folders = [out.parent / FOLDER, *elsewhere()]

    def key() -> str:
        return render_key(_decisive(request, plan))

    return Checkpoints(folders, key, plan.state, plan.blocks, every, _say)


def elsewhere() -> list[Path]:
    """Folders of this user on other disks than a video's, perhaps."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [home / "causvid" / "checkpoints", Path(tempfile.gettempdir()) / "causvid-checkpoints"]


def _say(event: Event, values: dict[str, Any]) -> None:
    level = logging.INFO if event == "resuming" else logging.WARNING
    log.log(level, _SENTENCES[event].format(**values))


def _decisive(request: RenderRequest, plan: Plan) -> Iterator[Any]:
    yield from decisive(plan.state, plan.context, request.mode, plan.blocks)
    if request.video is not None:
        file = request.video.resolve()
        stat = file.stat()
        yield (str(file), stat.st_size, stat.st_mtime_ns, FPS)
        yield (request.video_from, request.fit, request.strength)
