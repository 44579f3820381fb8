"""The download node against a small Hub on loopback."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hosting.host import Host
from hosting.pins import NEWEST

from ..core.small_hub import SmallHub
from .prompts import node

CHUNK = 10 * 2**20  # what huggingface_hub reads at once
NAME, FILE = "wan-vae", "wan_2.1_vae.safetensors"


class PausingHub(SmallHub):
    """Stops in the middle of the second chunk until `go_on` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def _send(self, handler, status, content, headers, body) -> None:
        if not body or len(content) <= CHUNK:
            super()._send(handler, status, content, headers, body)
            return
        length = {"Content-Length": str(len(content))}
        super()._send(handler, status, content[: CHUNK * 3 // 2], headers | length, body)
        self.go_on.wait(60)
        with contextlib.suppress(ConnectionError):  # a client that has given up
            handler.wfile.write(content[CHUNK * 3 // 2 :])


@pytest.fixture(scope="module")
def hub() -> Iterator[PausingHub]:
    server = PausingHub()
    path = f"split_files/vae/{FILE}"
    server.files["Comfy-Org/Wan_2.1_ComfyUI_repackaged", path] = bytes(4 * CHUNK)
    yield server
    server.close()


@pytest.fixture(scope="module")
def online(start_host: Callable[..., Host], hub: PausingHub) -> Iterator[Host]:
    """A server that may reach the small Hub and nothing else."""
    direct = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    host = start_host(NEWEST, variables={"HF_ENDPOINT": hub.url, **direct})
    yield host
    host.stop()


def download(name: str = NAME) -> dict[str, Any]:
    return {
        "get": node("CausVid_DownloadCheckpoint", name=name),
        "see": node("PreviewAny", source=["get", 0]),
    }


def test_the_network_is_left_alone_unless_the_node_runs(online: Host, hub: PausingHub) -> None:
    assert "CausVid_DownloadCheckpoint" in online.client.object_info()
    assert hub.requests == []


def test_cancel_stops_it_and_the_next_run_goes_on(online: Host, hub: PausingHub) -> None:
    def press_cancel(message: Any) -> None:
        if isinstance(message, dict) and message["type"] == "progress":
            online.client.interrupt()
            hub.go_on.set()

    assert online.run(download(), press_cancel).status == "interrupted"
    folder = online.base / "models" / "vae"
    assert not (folder / FILE).exists()
    hub.requests.clear()
    run = online.run(download())
    assert run.status == "success", run.error
    assert run.outputs["see"]["text"] == [FILE]
    assert (folder / FILE).stat().st_size == 4 * CHUNK
    [ranged] = [span for command, _, span in hub.requests if command == "GET" and span]
    assert int(ranged.removeprefix("bytes=").split("-")[0]) >= CHUNK
    assert any("licence: Apache-2.0" in notice.text for notice in run.notices)
    assert (
        FILE
        in online.client.get("/object_info/VAELoader")["VAELoader"]["input"]["required"][
            "vae_name"
        ][0]
    )


def test_a_failure_is_one_sentence(online: Host) -> None:
    run = online.run(download("longlive"))
    assert run.status == "error" and run.error_node == "get"
    assert run.error.strip().startswith("Efficient-Large-Model/LongLive-1.3B does not exist")
