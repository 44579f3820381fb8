"""GET /causvid/live: what a reloaded page needs to show its streams again."""

import base64
from typing import Any

from aiohttp import web
from server import PromptServer

from .store import LiveStore, Picture

PATH = "/causvid/live"
LONGEST_ID = 256
ANSWER_BYTES = 2**20
IMAGE_TYPE = "image/jpeg"

STORE = LiveStore()


def register_route() -> None:
    """Serve `STORE`. Read only; a client gets its own streams only.

    ?client_id=C gives {"streams": [...]}, what is known of each. With &prompt_id=P&node_id=N and
    perhaps &after=PX_FRAME it gives one of them with its next frames, as the event does; "frames"
    is empty at the end. Tools that only inspect nodes have no server; then this does nothing.
    """
    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.routes.get(PATH)(_answer)


def event(facts: dict[str, Any], pictures: list[Picture]) -> dict[str, Any]:
    """Facts and pictures as the browser gets them."""
    frames = [
        {"px_frame": picture.px_frame, "image": base64.b64encode(picture.image).decode("ascii")}
        for picture in pictures
    ]
    return {**facts, "image_type": IMAGE_TYPE, "frames": frames}


async def _answer(request: web.Request) -> web.Response:
    client_id, prompt_id, node_id, after = (
        request.query.get(name, "") for name in ("client_id", "prompt_id", "node_id", "after")
    )
    if not client_id or max(map(len, (client_id, prompt_id, node_id))) > LONGEST_ID:
        return _refusal(400, "client_id is missing, or an id is too long")
    if not prompt_id and not node_id:
        return _json({"streams": STORE.of_client(client_id)})
    try:
        px_frame = int(after or -1)
    except ValueError:
        return _refusal(400, f"after is {after[:20]!r}; expected a px frame")
    found = STORE.after(client_id, prompt_id, node_id, px_frame, ANSWER_BYTES)
    if found is None:
        return _refusal(404, "there is no such stream, or it was dropped to make room")
    return _json(event(*found))


def _json(data: dict[str, Any], status: int = 200) -> web.Response:
    return web.json_response(data, status=status, headers={"Cache-Control": "no-store"})


def _refusal(status: int, text: str) -> web.Response:
    return _json({"error": text}, status)
