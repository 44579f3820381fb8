"""A measuring process: arguments as JSON on its command line, its result as its last line."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hosting.command import thread_variables
from hosting.environment import ROOT

POLL_SECONDS = 0.02


class MeasuringFailed(RuntimeError):
    """A measuring process ended with an error; the message is the end of what it wrote."""


def measure(python: Path, part: str, threads: int, **arguments: Any) -> dict[str, Any]:
    """Run `benchmarks.<part>` in a process of its own and return its result.

    Raises MeasuringFailed.
    """
    variables = os.environ | thread_variables(threads)
    variables["PYTHONPATH"] = os.pathsep.join((str(ROOT), str(ROOT / "scripts")))
    command = [str(python), "-m", f"benchmarks.{part}", json.dumps(arguments)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise MeasuringFailed(f"benchmarks.{part} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def answer(parts: dict[str, Callable[..., dict[str, Any]]]) -> None:
    """The child's side of `measure`: call the named part and print its result."""
    arguments = json.loads(sys.argv[1])
    result = parts[arguments.pop("job")](**arguments)
    print(json.dumps(result), flush=True)


class PeakMemory:
    """A context manager that records by how many bytes the resident memory of a process rises.

    pid: another process, None for this one. Needs psutil.
    """

    def __init__(self, pid: int | None = None) -> None:
        import psutil  # only measuring processes have it

        self._process = psutil.Process(pid)
        self._before = self._peak = self._process.memory_info().rss
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def bytes(self) -> int:
        """The peak so far."""
        self._peak = max(self._peak, self._process.memory_info().rss)
        return self._peak - self._before

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(POLL_SECONDS):
            self._peak = max(self._peak, self._process.memory_info().rss)
