"""A long render writes checkpoints, and resumes from them if it was killed.

They are removed when the prompt that made them has ended: until then a crash of another node would
take the result with it.
"""

import atexit
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import folder_paths
from comfy_execution.utils import get_executing_context
from server import PromptServer
from torch import Tensor

from ....causvid_core.storage import Checkpoints, Event, decisive, render_key
from ....causvid_core.stream import StreamState
from ..messages import message
from ..notice import show
from .request import StreamRequest

FOLDER = ("causvid", "checkpoints")  # below the output folder, or the user's

_MESSAGES: dict[Event, str] = {
    "elsewhere": "autosave.elsewhere",
    "in_use": "autosave.in_use",
    "not_written": "autosave.not_written",
    "resuming": "autosave.resuming",
    "unusable": "autosave.unusable",
}

_finished: list[tuple[str | None, Checkpoints]] = []
"""Those of nodes that are done, with the prompt that they belong to."""


def autosave(request: StreamRequest, blocks: int) -> Checkpoints | None:
    """The checkpoints of a request that makes `blocks` blocks.

    Without `checkpoint_blocks` there is one only after an error. None when another run could not
    recognise the source.
    """
    remove_finished(_prompt_id())
    plain = request.source is None or isinstance(request.source, Tensor)
    if request.source_id is None and not (plain and not callable(request.strength)):
        if request.checkpoint_blocks:
            show(message("autosave.source_unknown"), logging.WARNING)
        return None
    every = request.checkpoint_blocks or blocks

    def key() -> str:
        return render_key(_decisive(request, blocks))

    return Checkpoints(folders(), key, request.state, blocks, every, _say)


def folders() -> list[Path]:
    """Where checkpoints may go, the best first."""
    roots = (folder_paths.get_output_directory(), folder_paths.get_user_directory())
    return [Path(root).joinpath(*FOLDER) for root in roots]


def finish(saved: Checkpoints) -> None:
    """The node is done: nobody needs its checkpoints once its prompt has ended."""
    saved.close()
    _finished.append((_prompt_id(), saved))


def rescue(saved: Checkpoints | None, state: StreamState, begun: StreamState) -> None:
    """After an error: save what was made, so that the same graph resumes there."""
    done = state.blocks - begun.blocks
    if saved is not None and done and (path := saved.save(state)) is not None:
        show(message("autosave.rescued", done=done, folder=path.parent), logging.WARNING)


def remove_finished(running: str | None) -> None:
    """Remove the checkpoints of every prompt but the one that is running."""
    for entry in [entry for entry in _finished if entry[0] != running]:
        entry[1].remove()
        _finished.remove(entry)


@atexit.register
def _leave() -> None:
    queue = PromptServer.instance.prompt_queue if hasattr(PromptServer, "instance") else None
    running = list(queue.currently_running.values()) if queue is not None else []
    remove_finished(running[0][1] if running else None)


def _prompt_id() -> str | None:
    running = get_executing_context()
    return None if running is None else running.prompt_id


def _say(event: Event, values: dict[str, Any]) -> None:
    level = logging.INFO if event == "resuming" else logging.WARNING
    show(message(_MESSAGES[event], **values), level)


def _decisive(request: StreamRequest, blocks: int) -> Iterator[Any]:
    yield from decisive(request.state, request.context, request.switch, blocks)
    if request.source_id is not None:
        yield request.source_id
    else:
        yield from (request.source, request.strength)
