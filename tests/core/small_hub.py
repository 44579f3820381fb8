"""A Hugging Face Hub on loopback: what `huggingface_hub` asks for, and faults on demand."""

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class SmallHub:
    """Serves `files[(repo, path)]` at any commit; `requests` lists what was asked."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], bytes] = {}
        self.main = COMMIT
        self.requests: list[tuple[str, str, str | None]] = []
        self.cut_after: int | None = None
        self.broken = False
        self.damage = False
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self):
                hub.answer(self, body=False)

            def do_GET(self):
                hub.answer(self, body=True)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, handler, body: bool) -> None:
        """One request."""
        self.requests.append((handler.command, handler.path, handler.headers.get("Range")))
        info = re.fullmatch(
            r"/api/models/([^/]+/[^/?]+)(?:/revision/([^/?]+))?(\?.*)?", handler.path
        )
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", handler.path)
        if info and any(repo == info[1] for repo, _ in self.files):
            answer = {"id": info[1], "modelId": info[1], "sha": self.main, "siblings": []}
            self._send(handler, 200, json.dumps(answer).encode(), {}, body)
        elif file and (file[1], file[3]) in self.files:
            self._send_file(handler, self.files[file[1], file[3]], file[2], body)
        else:
            known = file and any(repo == file[1] for repo, _ in self.files)
            error = "EntryNotFound" if known else "RepoNotFound"
            self._send(handler, 404, b"{}", {"X-Error-Code": error}, body)

    def _send_file(self, handler, content: bytes, commit: str, body: bool) -> None:
        etag = hashlib.sha256(content).hexdigest()
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if body and self.broken:
            self._send(handler, 500, b"{}", {}, body)
            return
        if body and self.damage:
            content = b"\0" * len(content)
        status, start = 200, 0
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range") or "")
        if wanted:
            status, start = 206, int(wanted[1])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._send(handler, status, content[start:], headers, body)

    def _send(self, handler, status, content, headers, body) -> None:
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        if not body:
            return
        if self.cut_after is not None and status in (200, 206) and "ETag" in headers:
            handler.wfile.write(content[: self.cut_after])
            self.cut_after, self.broken = None, True
            handler.close_connection = True
            return
        handler.wfile.write(content)
