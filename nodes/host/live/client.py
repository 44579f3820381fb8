"""The page that queued the running prompt, and messages to it that harm no other page.

The host writes to all its websockets in one loop that waits for each of them, and its queue of
messages has no bound: messages for a page that does not read would delay all the others and fill
the memory. So they are left out while some wait. They carry no frames; see `route`.
"""

from typing import Any

from comfy_execution.progress import get_progress_state
from comfy_execution.utils import get_executing_context
from server import PromptServer

from ..settings import setting
from .pages import lock_in
from .route import STORE
from .store import Picture, Shown

EVENT = "causvid.frames"
SETTING = "CausVid.LiveFrames"
WAITING_MESSAGES = 4


class LiveClient:
    """Receives what `shown` shows."""

    def __init__(self, server: PromptServer, client_id: str, shown: Shown) -> None:
        self.shown = shown
        self._server, self._client_id = server, client_id
        self._names = {
            "node_id": shown.node_id,
            "prompt_id": shown.prompt_id,
            "workflow_id": shown.workflow_id,
        }

    def send(self, facts: dict[str, Any], pictures: list[Picture], urgent: bool = False) -> None:
        """Keep the pictures, and tell the page of them.

        urgent: tell it even when messages wait; for what must arrive.
        """
        facts = {**self._names, **facts}
        STORE.add(self.shown, facts, pictures)
        if urgent or self._keeps_up():
            self._server.send_sync(EVENT, facts, self._client_id)

    def _keeps_up(self) -> bool:
        connected = self._client_id in self._server.sockets
        return connected and self._server.messages.qsize() < WAITING_MESSAGES


def running_client() -> LiveClient | None:
    """The page of the node that runs now; None when no page queued it or it wants no frames."""
    running, server = get_executing_context(), getattr(PromptServer, "instance", None)
    if running is None or server is None or not server.client_id or setting(SETTING) is False:
        return None
    extra_data = _extra_data(server, running.prompt_id)
    lock = lock_in(extra_data)
    if lock is None:
        return None
    shown = Shown(
        lock=lock,
        prompt_id=running.prompt_id,
        node_id=get_progress_state().dynprompt.get_display_node_id(running.node_id),
        workflow_id=_workflow_id(extra_data),
    )
    return LiveClient(server, server.client_id, shown)


def _extra_data(server: PromptServer, prompt_id: str) -> dict[str, Any]:
    """What was queued beside the running prompt."""
    running, _ = server.prompt_queue.get_current_queue_volatile()
    return next((item[3] for item in running if item[1] == prompt_id), {})


def _workflow_id(extra_data: dict[str, Any]) -> str | None:
    """The id of the workflow in the editor; without one, node ids alone have to do."""
    workflow = (extra_data.get("extra_pnginfo") or {}).get("workflow") or {}
    name = workflow.get("id")
    return name if isinstance(name, str) else None
