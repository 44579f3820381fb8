"""Short texts for the artist, shown on the running node and written to the log."""

import logging

from comfy_execution.utils import get_executing_context
from server import PromptServer

log = logging.getLogger("causvid")


def show(text: str, level: int = logging.INFO) -> None:
    """Show `text` on the node that runs now, for the client that queued it, and log it."""
    log.log(level, "CausVid: %s", text)
    running, server = get_executing_context(), getattr(PromptServer, "instance", None)
    if running is not None and server is not None and server.client_id is not None:
        server.send_progress_text(text, running.node_id, server.client_id)
