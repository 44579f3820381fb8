"""`python -m causvid_core` as processes to be harmed: fresh ones, or forks of a warm one."""

import atexit
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from hosting.environment import ROOT


class Program:
    """A running command. Everything that it prints goes to `log`.

    file_bytes: no file may grow past it, and to write on is an error as on a full disk. fresh: a
    new interpreter; otherwise a fork of this one, which has torch imported and nothing started.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        variables: dict[str, str],
        file_bytes: int | None = None,
        fresh: bool = False,
    ) -> None:
        self.log = folder.parent / "log.txt"
        self._start = self.log.stat().st_size if self.log.exists() else 0
        self._status: int | None = None
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid:
            return
        try:
            os.setsid()
            with self.log.open("ab", buffering=0) as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            os.chdir(folder)
            os.environ.update(variables)
            tempfile.tempdir = None  # the parent has looked already
            if file_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
            if fresh:
                os.environ["PYTHONPATH"] = str(ROOT)
                os.execv(sys.executable, [sys.executable, "-m", "causvid_core", *arguments])
            os._exit(_main(arguments))
        finally:  # whatever happens, a child never returns into the parent's rounds
            os._exit(99)

    def ended(self) -> bool:
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status is not None

    def wait(self, seconds: float) -> int:
        """The exit status. Raises TimeoutError, and kills the process, after `seconds`."""
        until = time.monotonic() + seconds
        while not self.ended():
            if time.monotonic() > until:
                self.send(signal.SIGKILL)
                raise TimeoutError(f"{seconds:.0f} s were not enough: {self.told()[-300:]}")
            time.sleep(0.01)
        assert self._status is not None
        return self._status

    def wait_at_most(self, seconds: float) -> bool:
        """Wait for the end or for `seconds`; whether it ended."""
        until = time.monotonic() + seconds
        while not self.ended() and time.monotonic() < until:
            time.sleep(0.005)
        return self.ended()

    def send(self, signal_number: int) -> None:
        if not self.ended():
            os.kill(self.pid, signal_number)

    def left_processes(self) -> bool:
        """Whether a process that it started outlives it; such ones are killed."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def told(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._start)
            return log.read().decode("utf-8", "replace")


@cache
def has_command(name: str) -> bool:
    """Whether this checkout has a command."""
    done = subprocess.run(
        [sys.executable, "-m", "causvid_core", name, "--help"], cwd=ROOT, capture_output=True
    )
    return done.returncode == 0


def sweep(folder: Path, scratch: Path) -> None:
    """`sweep` of a folder and of those in it; nothing where this checkout has no such command."""
    if has_command("sweep"):
        for one in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            Program(["sweep", str(one)], scratch, {}).wait(300)


def _main(arguments: Sequence[str]) -> int:
    """What a fresh interpreter would do with the command."""
    from causvid_core.cli import main

    try:
        status = main(arguments)
    except KeyboardInterrupt:
        status = 130
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status
