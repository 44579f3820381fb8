"""Frames on their way to the browser while a stream is made, as a page gets them."""

import base64
import io
import json
import uuid
from itertools import count
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from hosting.client import Message, Run, Subscription, locked
from hosting.graph import Prompt
from hosting.host import Host
from PIL import Image

from .prompts import entry_of, facts, mini_prompt, node

EVENT = "causvid.frames"
SECRET = "of the page that queues in these tests"
PAGE = locked(SECRET)
AGAIN = count()


def told(run: Run) -> list[dict[str, Any]]:
    """The live events of a run."""
    return [event["data"] for event in run.events if event["type"] == EVENT]


def asked(host: Host, secret: str = SECRET, **query: Any) -> tuple[int, Any]:
    """Status and answer of the route."""
    path = f"/causvid/live?{urlencode(query)}"
    status, body = host.client.get_bytes(path, {"CausVid-Secret": secret})
    return status, json.loads(body)


def fetched(host: Host, run: Run, node_id: str = "video") -> list[dict[str, Any]]:
    """Every frame of a node, in the answers' portions."""
    frames: list[dict[str, Any]] = []
    while True:
        after = frames[-1]["px_frame"] if frames else -1
        status, answer = asked(host, prompt_id=run.prompt_id, node_id=node_id, after=after)
        assert status == 200, answer
        if not answer["frames"]:
            return frames
        frames += answer["frames"]


def pictures(host: Host, run: Run, node_id: str = "video") -> dict[int, Image.Image]:
    """Every frame by its px frame, decoded."""
    frames = fetched(host, run, node_id)
    return {
        frame["px_frame"]: Image.open(io.BytesIO(base64.b64decode(frame["image"]))).convert("RGB")
        for frame in frames
    }


def threads(host: Host) -> int:
    """Threads of live views that are alive."""
    prompt = {"look": node("Probe_LiveThreads", again=next(AGAIN))}
    return facts(host.run(prompt))["threads"]


@pytest.fixture
def listen(host: Host):
    """listen(client id) subscribes as another page; all are closed in the end."""
    opened = []

    def connect(client_id: str) -> Subscription:
        opened.append(host.client.subscribe(client_id))
        return opened[-1]

    yield connect
    for subscription in opened:
        subscription.close()


def received(subscription: Subscription, seconds: float = 1.0) -> list[str]:
    """Types of the events that have come, and come within a moment."""
    kinds = []
    while True:
        try:
            message = subscription.receive(seconds)
        except TimeoutError:
            return kinds
        if isinstance(message, dict):
            kinds.append(message["type"])


def test_every_block_is_shown_before_the_next_one_is_done(host: Host) -> None:
    blocks_at_first_event = []

    def note(message: Message) -> None:
        if isinstance(message, dict) and message["type"] == EVENT:
            blocks_at_first_event.append(message["data"]["block"])

    run = host.run(mini_prompt(px_frames=93), note, extra_data=PAGE)
    events = told(run)
    assert run.status == "success", run.error
    assert [event["block"] for event in events] == [*range(8), 7]
    assert [event["state"] for event in events] == ["running"] * 8 + ["done"]
    assert {event["blocks"] for event in events} == {8}
    assert events[0]["first_px_frame"] == 0 and events[-1]["end_px_frame"] == 93
    for before, after in zip(events, events[1:], strict=False):
        assert after["first_px_frame"] == before["next_px_frame"]
        assert after["newest_px_frame"] >= before["newest_px_frame"]
    assert events[-1]["newest_px_frame"] == max(pictures(host, run))
    assert all("frames" not in event for event in events)
    assert {event["node_id"] for event in events} == {"video"}
    assert {event["prompt_id"] for event in events} == {run.prompt_id}
    assert {(event["width"], event["height"], event["fps"]) for event in events} == {(64, 64, 16)}
    assert events[-1]["generation_fps"] > 0 and events[-1]["first_frame_seconds"] > 0
    order = [e["type"] for e in run.events]
    assert order.index(EVENT) < order.index("executed")
    assert run.previews, "the host's own preview is gone"


def test_frames_are_pictures_that_change_smoothly(host: Host) -> None:
    run = host.run(mini_prompt(px_frames=45), extra_data=PAGE)
    shown = pictures(host, run)
    assert list(shown) == sorted(shown) and len(shown) > 30
    frames = np.stack([np.asarray(picture.resize((8, 8))) for picture in shown.values()])
    steps = np.abs(np.diff(frames.astype(float), axis=0)).mean(axis=(1, 2, 3))
    assert frames.std() > 5, "the pictures are plain"
    assert 0 < steps.max() < 25, "the pictures jump"


def test_a_chain_goes_on_where_it_was_and_a_cut_begins_with_one_frame(host: Host) -> None:
    prompt = mini_prompt(px_frames=9)
    other = node("CLIPTextEncode", clip=["mini", 1], text="a small green star over a black ground")
    more = dict(prompt["video"]["inputs"], positive=["other", 0], stream=["video", 0], px_frames=12)
    prompt |= {
        "other": other,
        "12:7": node("CausVid_TextToVideo", **more, switch="cut"),
        "look": node("Probe_Look", latent=["12:7", 1]),
    }
    run = host.run(prompt, extra_data=PAGE)
    events = told(run)
    inner = [event for event in events if event["node_id"] == "12:7"]
    assert [event["start_px_frame"] for event in inner] == [9, 9]
    assert inner[-1]["end_px_frame"] == 9 + 12 - 3
    assert min(pictures(host, run, "12:7")) == 9


def test_only_the_page_that_queued_is_told(host: Host, listen: Any) -> None:
    other = listen(uuid.uuid4().hex)
    run = host.run(mini_prompt(px_frames=21), extra_data=PAGE)
    assert told(run)
    assert EVENT not in received(other)


def test_nothing_is_made_for_a_prompt_without_a_page(host: Host, listen: Any) -> None:
    anybody = listen(uuid.uuid4().hex)
    _, answer = host.client.post("/prompt", {"prompt": mini_prompt(px_frames=21)})
    entry_of(host, answer["prompt_id"])
    kinds = received(anybody)
    assert "status" in kinds and EVENT not in kinds


def test_nothing_is_made_for_a_program_that_has_no_lock(host: Host) -> None:
    for extra_data in ({}, {"causvid_lock": SECRET}, {"causvid_lock": ["0" * 64]}):
        run = host.run(mini_prompt(px_frames=21), extra_data=extra_data)
        assert run.status == "success" and not told(run)
    assert run.prompt_id not in str(asked(host)[1])


def test_the_setting_turns_it_off(host: Host) -> None:
    host.client.post("/settings/CausVid.LiveFrames", False)
    try:
        assert not told(host.run(mini_prompt(px_frames=21), extra_data=PAGE))
    finally:
        host.client.post("/settings/CausVid.LiveFrames", True)
    assert told(host.run(mini_prompt(px_frames=21), extra_data=PAGE))


def test_an_interrupt_ends_the_view_and_its_thread(host: Host) -> None:
    def stop(message: Message) -> None:
        if isinstance(message, dict) and message["type"] == EVENT:
            host.client.interrupt()

    run = host.run(mini_prompt(px_frames=2000), stop, extra_data=PAGE)
    assert run.status == "interrupted"
    assert told(run)[-1]["state"] == "stopped"
    assert threads(host) == 0


def flood(batches: int, pause: float, fail: bool = False) -> Prompt:
    prompt = mini_prompt(px_frames=9)
    prompt["flood"] = node(
        "Probe_Flood",
        model=["mini", 0],
        stream=["video", 0],
        batches=batches,
        pause=pause,
        fail=fail,
    )
    return prompt


def test_frames_are_thinned_to_a_bounded_rate(host: Host) -> None:
    run = host.run(flood(batches=60, pause=0.04), extra_data=PAGE)
    events = [event for event in told(run) if event["node_id"] == "flood"]
    images = [frame["image"] for frame in fetched(host, run, "flood")]
    assert facts(run, "flood")["threads"] == 0
    seconds = run.seconds + 2  # of allowance
    assert len(images) < min(4 * 60, 32 * seconds)
    assert sum(map(len, images)) < 1.5e6 * 4 / 3 * seconds
    assert max(len(json.dumps(event)) for event in events) < 2000


def test_an_error_ends_the_view_and_its_thread(host: Host) -> None:
    run = host.run(flood(batches=3, pause=0.0, fail=True), extra_data=PAGE)
    assert run.status == "error" and "as asked" in run.error
    assert told(run)[-1]["state"] == "stopped"
    assert threads(host) == 0


def test_a_page_that_does_not_read_costs_no_memory(host: Host, listen: Any) -> None:
    client_id = uuid.uuid4().hex
    deaf = listen(client_id)
    prompt = flood(batches=80, pause=0.1)
    request = {"prompt": prompt, "client_id": client_id, "extra_data": PAGE}
    _, answer = host.client.post("/prompt", request)
    [shown] = entry_of(host, answer["prompt_id"])["outputs"]["flood"]["text"]
    waiting = json.loads(shown)["waiting"]
    assert max(waiting) < 10, "messages pile up for a page that does not read"
    deaf.close()
    shown = told(host.run(mini_prompt(px_frames=9), extra_data=PAGE))
    assert shown, "others wait for the page that does not read"
