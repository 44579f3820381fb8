"""What ComfyUI offers over HTTP and its WebSocket: queue a prompt, follow it, fetch results."""

import hashlib
import html
import http.client
import json
import struct
import time
import urllib.parse
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import websocket

FINAL = {
    "execution_success": "success",
    "execution_error": "error",
    "execution_interrupted": "interrupted",
}


class PromptRejected(RuntimeError):
    """The server refused a prompt before running it; `node_errors` is its answer per node."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.node_errors: dict[str, Any] = answer.get("node_errors") or {}
        details = [
            f"{error['message']}: {error.get('details', '')}".strip(": ")
            for node in self.node_errors.values()
            for error in node["errors"]
        ]
        super().__init__("; ".join(details) or json.dumps(answer.get("error", answer)))


@dataclass(frozen=True)
class Preview:
    """An image sent while a node works. node_id is None from servers that do not send it."""

    node_id: str | None
    image_type: str
    data: bytes


@dataclass(frozen=True)
class Notice:
    """A text that a node shows while it works, as the editor shows it."""

    node_id: str
    text: str


@dataclass
class Run:
    """What happened to one prompt; filled in while it runs.

    status: "success", "error" or "interrupted". error: the message of the failed node, if any.
    outputs: node id -> what it showed, as in the history. cached: nodes whose results were reused.
    """

    prompt_id: str
    status: str = ""
    error: str | None = None
    error_node: str | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    previews: list[Preview] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    cached: set[str] = field(default_factory=set)
    executed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def progress(self, node_id: str) -> list[tuple[float, float]]:
        """Every (value, maximum) that the node reported."""
        states = (e["data"]["nodes"] for e in self.events if e["type"] == "progress_state")
        return [(s[node_id]["value"], s[node_id]["max"]) for s in states if node_id in s]

    def files(self) -> list[dict[str, str]]:
        """Every file that an output node saved: filename, subfolder, type."""
        shown = (v for output in self.outputs.values() for v in output.values())
        entries = (e for v in shown if isinstance(v, list) for e in v)
        return [e for e in entries if isinstance(e, dict) and "filename" in e]


Message = dict[str, Any] | Preview | Notice
Listener = Callable[[Message], None]


def locked(secret: str) -> dict[str, str]:
    """The extra_data of a page that has this secret, and gets the frames of what it queues."""
    return {"causvid_lock": hashlib.sha256(secret.encode()).hexdigest()}


class Subscription:
    """A WebSocket on which the server sends events to the page `client_id`."""

    def __init__(self, host: str, port: int, client_id: str, timeout: float = 10.0) -> None:
        # The server is on this machine: a proxy of the environment does not apply.
        self._socket = websocket.create_connection(
            f"ws://{host}:{port}/ws?clientId={client_id}", timeout, http_no_proxy=[host]
        )

    def send(self, data: dict[str, Any]) -> None:
        self._socket.send(json.dumps(data))

    def receive(self, timeout: float) -> Message | None:
        """The next message, or None for a binary message of an unknown kind.

        Raises TimeoutError when none arrives in `timeout` seconds, and ConnectionError when the
        server closes the connection. Half a message survives a timeout.
        """
        if timeout <= 0:
            raise TimeoutError("No message arrived in time.")
        self._socket.settimeout(timeout)
        try:
            kind, data = self._socket.recv_data()
        except websocket.WebSocketTimeoutException as error:
            raise TimeoutError("No message arrived in time.") from error
        except websocket.WebSocketConnectionClosedException as error:
            raise ConnectionError("The server ended the connection.") from error
        if kind == websocket.ABNF.OPCODE_CLOSE:
            raise ConnectionError("The server closed the WebSocket.")
        return json.loads(data) if kind == websocket.ABNF.OPCODE_TEXT else _parse(data)

    def close(self) -> None:
        self._socket.close(timeout=1)


class Client:
    """What a browser page does, for the server at `address` ("http://127.0.0.1:8188")."""

    def __init__(self, address: str) -> None:
        parts = urllib.parse.urlsplit(address)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80

    def get(self, path: str) -> Any:
        status, body = self._request("GET", path)
        if status != 200:
            raise ConnectionError(f"GET {path}: status {status}")
        return json.loads(body)

    def get_bytes(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """Status and body, for any status."""
        return self._request("GET", path, headers=headers)

    def post(self, path: str, data: Any) -> tuple[int, Any]:
        status, body = self._request("POST", path, json.dumps(data).encode())
        return status, json.loads(body) if body.strip() else None

    def object_info(self) -> dict[str, Any]:
        """Every node type's inputs and outputs."""
        return self.get("/object_info")

    def interrupt(self) -> None:
        self.post("/interrupt", {})

    def free(self) -> None:
        """Ask the server to unload models and to drop cached results."""
        self.post("/free", {"unload_models": True, "free_memory": True})

    def view(self, file: dict[str, str]) -> bytes:
        """The content of one of `Run.files`."""
        status, body = self._request("GET", f"/view?{urllib.parse.urlencode(file)}")
        if status != 200:
            raise ConnectionError(f"{file['filename']}: status {status}")
        return body

    def subscribe(self, client_id: str) -> Subscription:
        """Receive what the server sends to the page `client_id`; the caller closes it."""
        return Subscription(self._host, self._port, client_id)

    def run(
        self,
        prompt: dict[str, Any],
        listener: Listener | None = None,
        timeout: float = 600.0,
        extra_data: dict[str, Any] | None = None,
    ) -> Run:
        """Queue an API-format prompt and return when it has ended.

        `listener` gets every event, Preview and Notice as it arrives and may call `interrupt`.
        Raises PromptRejected if the prompt does not validate, and TimeoutError.
        """
        started = time.monotonic()
        client_id = uuid.uuid4().hex
        subscription = self.subscribe(client_id)
        try:
            features = {"supports_preview_metadata": True}
            subscription.send({"type": "feature_flags", "data": features})
            request = {"prompt": prompt, "client_id": client_id, "extra_data": extra_data or {}}
            status, answer = self.post("/prompt", request)
            if status != 200:
                raise PromptRejected(answer)
            run = Run(answer["prompt_id"])
            while not run.status:
                message = subscription.receive(started + timeout - time.monotonic())
                if message is None:
                    continue
                _record(run, message)
                if listener is not None:
                    listener(message)
        finally:
            subscription.close()
        run.seconds = time.monotonic() - started
        run.outputs = self._outputs(run.prompt_id)
        return run

    def _outputs(self, prompt_id: str) -> dict[str, Any]:
        """The outputs of a run, which enter the history a moment after its last event."""
        for _ in range(50):
            entry = self.get(f"/history/{prompt_id}").get(prompt_id)
            if entry is not None:
                return entry["outputs"]
            time.sleep(0.1)
        return {}

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=120)
        headers = dict(headers or {})
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def _parse(message: bytes) -> Preview | Notice | None:
    """A binary message; None for kinds that are not known."""
    kind, second = struct.unpack(">II", message[:8])
    if kind == 1:
        return Preview(None, {1: "image/jpeg", 2: "image/png"}.get(second, ""), message[8:])
    if kind == 3:
        text = html.unescape(message[8 + second :].decode())  # the editor takes it for HTML
        return Notice(message[8 : 8 + second].decode(), text)
    if kind == 4:
        about = json.loads(message[8 : 8 + second])
        node = about.get("display_node_id") or about.get("node_id")
        return Preview(node, about.get("image_type", ""), message[8 + second :])
    return None


def _record(run: Run, message: Message) -> None:
    if isinstance(message, Preview):
        run.previews.append(message)
        return
    if isinstance(message, Notice):
        run.notices.append(message)
        return
    run.events.append(message)
    kind, data = message["type"], message.get("data") or {}
    if data.get("prompt_id") != run.prompt_id:
        return
    if kind == "execution_cached":
        run.cached.update(data["nodes"])
    elif kind == "executing" and data.get("node"):
        run.executed.append(data["node"])
    elif kind in FINAL:
        run.status = FINAL[kind]
        run.error = data.get("exception_message")
        run.error_node = data.get("node_id")
