"""A ComfyUI server as a child process."""

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from .environment import Environment

HOST = "127.0.0.1"
QUIET = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONUTF8": "1",
}


class ServerError(RuntimeError):
    """The server did not start. The message names its log."""


class Server:
    """A ComfyUI `release` on a free port with the base directory `base`; a context manager.

    extra_arguments: of ComfyUI's command line. variables: of its environment. Without a usable
    CUDA device ComfyUI runs on the CPU.
    """

    def __init__(
        self,
        environment: Environment,
        release: str,
        base: Path,
        extra_arguments: Sequence[str] = (),
        variables: dict[str, str] | None = None,
    ) -> None:
        self.environment = environment
        self.release = release
        self.base = base
        self.log = base / "server.log"
        self.port = _free_port()
        self.address = f"http://{HOST}:{self.port}"
        self._extra = list(extra_arguments)
        self._variables = variables or {}
        self._process: subprocess.Popen | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServerError("The server was not started.")
        return self._process.pid

    def start(self, timeout: float = 300.0) -> "Server":
        """Start and return once the server answers, which means that all nodes are loaded."""
        variables = os.environ | QUIET | self._variables
        variables["PYTHONPATH"] = str(self.environment.packages(self.release))
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.environment.comfyui(self.release),
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + timeout
        try:
            while not self._answers():
                if self._process.poll() is not None:
                    raise ServerError(f"ComfyUI {self.release} ended on start; see {self.log}.")
                if time.monotonic() > deadline:
                    raise ServerError(f"No answer in {timeout:.0f} s; see {self.log}.")
                time.sleep(0.1)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Terminate the process, and kill it after 10 s. Does nothing if it is not running."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def wait(self) -> None:
        """Block until the server ends by itself."""
        if self._process is not None:
            self._process.wait()

    def log_text(self) -> str:
        return self.log.read_text("utf-8", errors="replace")

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _command(self) -> list[str]:
        device = [] if self.environment.uses_cuda() else ["--cpu"]
        return [
            str(self.environment.python),
            "main.py",
            *device,
            *("--listen", HOST, "--port", str(self.port)),
            *("--base-directory", str(self.base)),
            *("--database-url", f"sqlite:///{(self.base / 'comfyui.db').as_posix()}"),
            "--disable-api-nodes",
            "--disable-auto-launch",
            *("--preview-method", "auto"),
            *self._extra,
        ]

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=2)
        try:
            connection.request("GET", "/system_stats")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
