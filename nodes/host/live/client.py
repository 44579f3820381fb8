"""The client that queued the running prompt, and messages to it that harm no other client.

The host writes to all its websockets in one loop that waits for each of them, and its queue of
messages has no bound: pictures for a client that does not read would delay all the others and
fill the memory. So pictures are left out while messages wait.
"""

from typing import Any

from comfy_execution.progress import get_progress_state
from comfy_execution.utils import get_executing_context
from server import PromptServer

from ..settings import setting
from .route import STORE, event
from .store import Picture, Shown

EVENT = "causvid.frames"
SETTING = "CausVid.LiveFrames"
MESSAGE_BYTES = 192 * 1024
WAITING_MESSAGES = 4


class LiveClient:
    """Receives what `shown` shows."""

    def __init__(self, server: PromptServer, shown: Shown) -> None:
        self.shown = shown
        self._server = server
        self._names = {
            "node_id": shown.node_id,
            "prompt_id": shown.prompt_id,
            "workflow_id": shown.workflow_id,
        }

    def send(self, facts: dict[str, Any], pictures: list[Picture], urgent: bool = False) -> None:
        """Keep the pictures and send them, in several events if they are many.

        urgent: send even when messages wait; for what is small and must arrive.
        """
        facts = {**self._names, **facts}
        STORE.add(self.shown, facts, pictures)
        parts, end = _parts(pictures), facts["next_px_frame"]
        for part, following in zip(parts, [*parts[1:], None], strict=True):
            if not urgent and not self._keeps_up():
                return
            facts = {**facts, "next_px_frame": following[0].px_frame if following else end}
            self._server.send_sync(EVENT, event(facts, part), self.shown.client_id)
            if following:
                facts["first_px_frame"] = following[0].px_frame
                facts["after_px_frame"] = part[-1].px_frame

    def _keeps_up(self) -> bool:
        connected = self.shown.client_id in self._server.sockets
        return connected and self._server.messages.qsize() < WAITING_MESSAGES


def running_client() -> LiveClient | None:
    """The client of the node that runs now; None when no client queued it or it wants no frames."""
    running, server = get_executing_context(), getattr(PromptServer, "instance", None)
    if running is None or server is None or not server.client_id or setting(SETTING) is False:
        return None
    shown = Shown(
        client_id=server.client_id,
        prompt_id=running.prompt_id,
        node_id=get_progress_state().dynprompt.get_display_node_id(running.node_id),
        workflow_id=_workflow_id(server, running.prompt_id),
    )
    return LiveClient(server, shown)


def _parts(pictures: list[Picture]) -> list[list[Picture]]:
    """The pictures in messages of a bounded size; one message, if there are none."""
    parts: list[list[Picture]] = [[]]
    size = 0
    for picture in pictures:
        if parts[-1] and size + len(picture.image) > MESSAGE_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(picture)
        size += len(picture.image)
    return parts


def _workflow_id(server: PromptServer, prompt_id: str) -> str | None:
    """The id of the workflow in the editor; without one, node ids alone have to do."""
    running, _ = server.prompt_queue.get_current_queue_volatile()
    for item in running:
        if item[1] == prompt_id:
            workflow = (item[3].get("extra_pnginfo") or {}).get("workflow") or {}
            name = workflow.get("id")
            return name if isinstance(name, str) else None
    return None
