"""Rounds over nodes: harm a ComfyUI that renders, start it again, queue the same graph, compare."""

import os
import random
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

from hosting.environment import Environment
from hosting.graph import Prompt
from hosting.host import Host

from .judge import Findings, Whole, film_fault, left_over, remove, stream_fault, whole
from .process import sweep

PATIENCE = 300.0
PX_FRAMES = 45  # four blocks
DAYS = 30 * 3600.0
HARMS = ("nodes kill", "nodes deleted folder", "nodes clock", "nodes interrupt")


class Graphs:
    """Render to Video and Save Stream in a ComfyUI `release` with its base below `base`."""

    def __init__(self, base: Path, dice: random.Random, release: str) -> None:
        environment = Environment()
        environment.ensure([release])
        self._host = Host(environment, release, base / "comfyui")
        self._dice, self._scratch = dice, base / "sweeping"
        self._scratch.mkdir()
        self._output = self._host.base / "output"
        self._expected: Whole | None = None
        self._seconds, self._taken = 5.0, False
        self.harms = HARMS

    def __enter__(self) -> "Graphs":
        self._host.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._host.stop()

    def round(self, harm: str, findings: Findings) -> None:
        """One round; what is found goes to `findings`."""
        if self._expected is None:
            begun = time.monotonic()
            self._expected = whole(*self._results(self._host.run(_graph(0))))
            self._seconds = time.monotonic() - begun
        # A new server: nothing that it remembers may stand in for the work.
        self._restart()
        shutil.rmtree(self._output, ignore_errors=True)
        self._output.mkdir()
        graph, self._taken = _graph(0), False
        harming = threading.Thread(target=self._harm, args=(harm,))
        harming.start()
        try:
            run = self._host.run(graph, timeout=PATIENCE)
        except (OSError, EOFError):
            run = None
        harming.join()
        if run is not None and run.status == "success" and not self._taken:
            self._judge(run, findings, harm, "the harmed run")
        self._restart()
        run = self._host.run(graph, timeout=PATIENCE)
        if run.status != "success":
            findings.add("lost", harm, f"the second run: {run.error}")
            return
        results = self._judge(run, findings, harm, "the second run")
        self._look_for_orphans(results, findings, harm)

    def _restart(self) -> None:
        self._host.stop()
        self._host.start()

    def _harm(self, harm: str) -> None:
        time.sleep(self._dice.uniform(0, 1.1 * self._seconds))
        if harm == "nodes kill":
            os.kill(self._host.server.pid, signal.SIGKILL)
        elif harm == "nodes deleted folder":
            # A film that has its name already was delivered, and its loss is no fault.
            self._taken = any(name.endswith("_.mp4") for name in remove(self._output))
        elif harm == "nodes interrupt":
            self._host.client.interrupt()
        else:
            then = time.time() + self._dice.choice((-DAYS, DAYS))
            for path in self._places():
                for file in path.rglob("*"):
                    try:
                        os.utime(file, (then, then))
                    except FileNotFoundError:
                        continue

    def _places(self) -> tuple[Path, ...]:
        return self._output, self._host.base / "temp", self._host.base / "user"

    def _results(self, run: Any) -> tuple[Path, Path]:
        [film] = [self._host.path(file) for file in run.files() if file["filename"].endswith("mp4")]
        streams = (self._output / "streams").glob("torture_*.safetensors")
        return film, max(streams, key=lambda path: path.name)

    def _judge(self, run: Any, findings: Findings, harm: str, which: str) -> list[Path]:
        assert self._expected is not None
        try:
            film, stream = self._results(run)
        except ValueError:
            findings.add("lost", harm, f"{which} said success, and its files are not there")
            return []
        faults = (film_fault(film, self._expected), stream_fault(stream, self._expected))
        for fault in filter(None, faults):
            findings.add("wrong", harm, f"{which} said success: {fault}")
        return [film, stream]

    def _look_for_orphans(self, results: list[Path], findings: Findings, harm: str) -> None:
        sweep(self._output, self._scratch)
        # A film that was whole when the harm came has a name of its own, and is no orphan.
        films = list(self._output.rglob("torture_*_.mp4"))
        streams = list(self._output.rglob("torture_*.safetensors"))
        user = self._host.base / "user"
        of_the_host = [
            path for path in user.rglob("*") if "causvid" not in str(path)[len(str(user)) :]
        ]
        kept = films + streams + results + of_the_host
        if left := left_over(self._places(), kept):
            findings.add("orphans", harm, ", ".join(left))


def _node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def _graph(seed: int) -> Prompt:
    return {
        "mini": _node("CausVid_LoadMini"),
        "text": _node("CLIPTextEncode", clip=["mini", 1], text="a large red circle moving right"),
        "video": _node(
            "CausVid_RenderToVideo",
            model=["mini", 0],
            positive=["text", 0],
            vae=["mini", 2],
            seed=seed,
            width=64,
            height=64,
            minutes=PX_FRAMES / 16 / 60,
            codec="h264",
            quality=75,
            filename_prefix="video/torture",
            frames="whole",
            strength=0.7,
            fit="crop",
            fps=16.0,
            pixel_format="auto",
            checkpoint_blocks=1,
        ),
        "save": _node(
            "CausVid_SaveStream",
            stream=["video", 0],
            contents="light",
            filename_prefix="streams/torture",
        ),
    }
