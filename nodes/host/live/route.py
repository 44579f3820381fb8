"""The frames of a page's streams, given to that page only; see `pages`.

They are fetched, and not sent over the host's websocket: the host gives that to whoever connects
last with the page's client id, which it lists to everybody. The secret comes in a header, because
addresses are written to logs.
"""

import base64
from typing import Any

from aiohttp import web
from server import PromptServer

from .pages import HEADER, SECRET_LENGTHS, is_from_own_page, lock_of, new_secret
from .store import LiveStore, Picture

PATH = "/causvid/live"
SECRET_PATH = "/causvid/live/secret"
LONGEST_ID = 256
ANSWER_BYTES = 2**20
IMAGE_TYPE = "image/jpeg"

STORE = LiveStore()


def register_route() -> None:
    """Serve `STORE`. Read only.

    /causvid/live/secret gives a new {"secret", "lock"}. /causvid/live, asked with the secret in
    the header CausVid-Secret, gives {"streams": [...]}, what is known of each stream that was
    queued with the lock. With ?prompt_id=P&node_id=N and perhaps &after=PX_FRAME it gives one of
    them with its next frames; "frames" is empty at the end. Tools that only inspect nodes have no
    server; then this does nothing.
    """
    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.routes.get(SECRET_PATH)(_new_secret)
        server.routes.get(PATH)(_streams)


async def _new_secret(request: web.Request) -> web.Response:
    if not is_from_own_page(request.headers):
        return _refusal(403, "only pages of this server are answered")
    secret = new_secret()
    return _json({"secret": secret, "lock": lock_of(secret)})


async def _streams(request: web.Request) -> web.Response:
    secret = request.headers.get(HEADER, "")
    if len(secret) not in SECRET_LENGTHS or not is_from_own_page(request.headers):
        return _refusal(403, "only the page that queued is answered")
    prompt_id, node_id, after = (
        request.query.get(name, "") for name in ("prompt_id", "node_id", "after")
    )
    if max(len(prompt_id), len(node_id)) > LONGEST_ID:
        return _refusal(400, "an id is too long")
    if not prompt_id and not node_id:
        return _json({"streams": STORE.of_page(lock_of(secret))})
    try:
        px_frame = int(after or -1)
    except ValueError:
        return _refusal(400, f"after is {after[:20]!r}; expected a px frame")
    found = STORE.after(lock_of(secret), prompt_id, node_id, px_frame, ANSWER_BYTES)
    if found is None:
        return _refusal(404, "there is no such stream, or it was dropped to make room")
    return _json(_with_frames(*found))


def _with_frames(facts: dict[str, Any], pictures: list[Picture]) -> dict[str, Any]:
    frames = [
        {"px_frame": picture.px_frame, "image": base64.b64encode(picture.image).decode("ascii")}
        for picture in pictures
    ]
    return {**facts, "image_type": IMAGE_TYPE, "frames": frames}


def _json(data: dict[str, Any], status: int = 200) -> web.Response:
    return web.json_response(data, status=status, headers={"Cache-Control": "no-store"})


def _refusal(status: int, text: str) -> web.Response:
    return _json({"error": text}, status)
