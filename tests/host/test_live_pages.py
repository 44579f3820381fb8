"""Frames for the page that queued and for nobody else, whatever a stranger can learn and send."""

import json
import re
import secrets
import uuid
from typing import Any
from urllib.parse import urlencode

import pytest
from hosting.client import locked
from hosting.host import Host

from .prompts import entry_of, mini_prompt

HEADER = "CausVid-Secret"
EVENT = "causvid.frames"


def ask(
    host: Host, secret: str = "", headers: dict[str, str] | None = None, /, **query: Any
) -> tuple[int, Any]:
    """Status and answer of the route of frames."""
    own = {HEADER: secret} if secret else {}
    path = f"/causvid/live?{urlencode(query)}"
    status, body = host.client.get_bytes(path, own | (headers or {}))
    return status, json.loads(body)


@pytest.fixture(scope="module")
def secret() -> str:
    return secrets.token_urlsafe(32)


@pytest.fixture(scope="module")
def run(host: Host, secret: str) -> Any:
    """A run that a page with this secret has queued."""
    done = host.run(mini_prompt(px_frames=93), extra_data=locked(secret))
    assert done.status == "success", done.error
    return done


def test_a_page_gets_back_what_it_has_seen(host: Host, secret: str, run: Any) -> None:
    [known] = ask(host, secret)[1]["streams"]
    assert (known["prompt_id"], known["node_id"]) == (run.prompt_id, "video")
    assert known["state"] == "done" and known["block"] == 7
    place = {"prompt_id": run.prompt_id, "node_id": "video"}
    status, answer = ask(host, secret, **place)
    sent = answer["frames"]
    assert status == 200 and len(sent) > 30 and sent[-1]["px_frame"] == known["newest_px_frame"]
    middle = sent[len(sent) // 2]["px_frame"]
    status, answer = ask(host, secret, **place, after=middle)
    assert answer["frames"] == [frame for frame in sent if frame["px_frame"] > middle]
    assert ask(host, secret, **place | {"node_id": "../video"})[0] == 404
    assert ask(host, secret, **place, after="soon")[0] == 400
    assert ask(host, secret, **place | {"node_id": "x" * 300})[0] == 400


def test_what_the_host_lists_gives_a_stranger_nothing(host: Host, secret: str, run: Any) -> None:
    history = host.client.get("/history")
    listed = json.dumps([history, host.client.get("/queue"), run.events]) + host.log()
    assert secret not in listed
    extra_data = history[run.prompt_id]["prompt"][3]
    client_id, lock = extra_data["client_id"], extra_data["causvid_lock"]
    assert lock in listed
    place = {"prompt_id": run.prompt_id, "node_id": "video"}
    guesses = (lock, client_id, run.prompt_id, secret[:-1], secret + "=", secret.swapcase())
    for guess in (*guesses, secrets.token_urlsafe(32)):
        assert ask(host, guess, **place)[0] in (403, 404), guess
        assert ask(host, guess)[1].get("streams", []) == [], guess
    for query in ({"client_id": client_id}, {"secret": secret}, {HEADER: secret}):
        assert ask(host, **place, **query)[0] == 403, query


def test_who_takes_over_the_websocket_gets_no_frames(host: Host) -> None:
    client_id, secret = uuid.uuid4().hex, secrets.token_hex(32)
    page = host.client.subscribe(client_id)
    stranger = host.client.subscribe(client_id)  # the host now sends all to this one
    request = {
        "prompt": mini_prompt(px_frames=45),
        "client_id": client_id,
        "extra_data": locked(secret),
    }
    try:
        _, answer = host.client.post("/prompt", request)
        entry_of(host, answer["prompt_id"])
        taken = []
        while not taken or taken[-1].get("data", {}).get("state") != "done":
            message = stranger.receive(20)
            if isinstance(message, dict):  # the rest is ComfyUI's own preview, see the README
                taken.append(message)
    finally:
        stranger.close()
        page.close()
    live = [message["data"] for message in taken if message["type"] == EVENT]
    assert live and all("frames" not in facts for facts in live)
    assert not re.search(r"[A-Za-z0-9+/]{300}", json.dumps(live)), "a picture among the facts"
    assert secret not in json.dumps(taken)
    place = {"prompt_id": answer["prompt_id"], "node_id": "video"}
    assert ask(host, client_id, **place)[0] == 404
    assert ask(host, secret, **place)[1]["frames"], "the page itself can still fetch them"


def test_a_stranger_who_queues_with_a_listed_lock_opens_nothing(host: Host) -> None:
    page, stranger = secrets.token_hex(32), secrets.token_hex(32)
    place = {"prompt_id": host.run(mini_prompt(px_frames=9), extra_data=locked(page)).prompt_id}
    prompt = mini_prompt(px_frames=9)
    prompt["theirs"] = prompt.pop("video")
    prompt["look"]["inputs"] |= {"latent": ["theirs", 1], "stream": ["theirs", 0]}
    theirs = host.run(prompt, extra_data=locked(page))
    assert theirs.status == "success", theirs.error
    assert ask(host, stranger, **place, node_id="video")[0] == 404
    assert ask(host, stranger)[1]["streams"] == []
    assert ask(host, page, **place, node_id="video")[1]["frames"]


@pytest.mark.parametrize("path", ["/causvid/live", "/causvid/live/secret"])
@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://127.0.0.1:1"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "own"}, True),
    ],
)
def test_only_pages_of_this_server_are_answered(
    host: Host, secret: str, run: Any, path: str, headers: dict[str, str], allowed: bool
) -> None:
    headers = {k: host.address if v == "own" else v for k, v in headers.items()}
    status, body = host.client.get_bytes(path, {HEADER: secret} | headers)
    assert status == (200 if allowed else 403)
    if not allowed:
        assert run.prompt_id.encode() not in body and b'"secret"' not in body


def test_secrets_are_new_each_time_and_cost_no_memory(host: Host, run: Any, secret: str) -> None:
    given = []
    for _ in range(300):
        status, body = host.client.get_bytes("/causvid/live/secret")
        assert status == 200
        given.append(json.loads(body))
    assert len({page["secret"] for page in given}) == 300
    assert all(len(page["secret"]) == 43 for page in given)
    assert all(page["lock"] == locked(page["secret"])["causvid_lock"] for page in given)
    [known] = [s for s in ask(host, secret)[1]["streams"] if s["prompt_id"] == run.prompt_id]
    assert known["state"] == "done", "fake pages have pushed out a real one"
