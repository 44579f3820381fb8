"""The demo's video: a shared workflow in a running ComfyUI, under a progress bar."""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

from .client import Message, Notice
from .environment import ROOT, Environment
from .graph import Prompt, find_node
from .host import Host
from .pack import PACK_NAME

TEMPLATE = "text_to_video_mini"
BAR_WIDTH = 32


class DemoError(RuntimeError):
    """The video was not made. The message says why."""


class Stopwatch:
    """How long each part took, and the whole. started: as `time.time()` gives it."""

    def __init__(self, started: float) -> None:
        self._parts: list[tuple[str, float]] = []
        self._last = started

    def lap(self, part: str) -> None:
        now = time.time()
        self._parts.append((part, now - self._last))
        self._last = now

    def summary(self) -> str:
        parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self._parts)
        return f"{parts}; {sum(seconds for _, seconds in self._parts):.1f} s in all"


class ProgressBar:
    """Follows one node of a run and draws its blocks and steps on one line of the terminal.

    The node announces how many blocks it makes. Its progress counts calls of the model: the steps
    of a block, then its clean pass, which the last block does not have.
    """

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._blocks = 0
        self._drawn = ""
        self._open = False  # the cursor is at the end of the bar

    def __call__(self, message: Message) -> None:
        if isinstance(message, Notice) and message.node_id == self._node_id:
            announced = re.search(r"in (\d+) blocks?", message.text)
            self._blocks = int(announced[1]) if announced else self._blocks
            self.finish()
            print(f"  {message.text}")
        elif isinstance(message, dict) and message["type"] == "progress_state":
            state = message["data"]["nodes"].get(self._node_id)
            if state is not None and state["max"] > 1:
                self._draw(int(state["value"]), int(state["max"]))

    def finish(self) -> None:
        """Move the cursor to the line below the bar."""
        if self._open:
            print()
        self._open = False

    def _draw(self, done: int, total: int) -> None:
        bar = ("#" * (BAR_WIDTH * done // total)).ljust(BAR_WIDTH, ".")
        line = f"  [{bar}] {self._position(done, total)}"
        terminal = sys.stdout.isatty()
        if line != self._drawn and (terminal or done == total):
            print(f"\r{line}" if terminal else line, end="", flush=True)
            self._drawn, self._open = line, True

    def _position(self, done: int, total: int) -> str:
        if not self._blocks or (total + 1) % self._blocks:
            return f"{done}/{total}"
        calls = (total + 1) // self._blocks
        block, step = divmod(max(done - 1, 0), calls)
        return f"block {block + 1}/{self._blocks}, step {min(step + 1, calls - 1)}/{calls - 1}"


def make(environment: Environment, arguments: argparse.Namespace) -> None:
    """Render with the options of scripts/demo.py, and print where the files are.

    Raises DemoError, and what Host and its `run` raise.
    """
    watch = Stopwatch(arguments.started)
    watch.lap("setup")
    print(f"Starting ComfyUI {arguments.comfyui}")
    base = environment.home / "bases" / arguments.comfyui
    with Host(environment, arguments.comfyui, base) as host:
        watch.lap("server start")
        prompt = host.prompt(TEMPLATE)
        text = change(prompt, arguments)
        print(f'Rendering "{text}"')
        video, warnings = render(host, prompt)
        watch.lap("render")
        copy, sheet = keep(environment, video, text, arguments)
        watch.lap("files")
        print(f"Video:         {copy}\nContact sheet: {sheet}\nTime:          {watch.summary()}")
        for warning in warnings:
            print(f"Note:          {warning}")
        if arguments.ui:
            print(f"ComfyUI is open at {host.address}/?template={TEMPLATE}&source={PACK_NAME}")
            print("Press Ctrl-C to close it.")
            host.server.wait()


def change(prompt: Prompt, arguments: argparse.Namespace) -> str:
    """Write the command's options into the workflow's prompt; returns the text to render."""
    encode = prompt[find_node(prompt, "CLIPTextEncode")]["inputs"]
    sample = prompt[find_node(prompt, "CausVid_TextToVideo")]["inputs"]
    if arguments.prompt is not None:
        encode["text"] = arguments.prompt
    if arguments.seconds is not None:
        sample |= {"seconds": arguments.seconds, "px_frames": 0}
    if arguments.seed is not None:
        sample["seed"] = arguments.seed
    arguments.seed = sample["seed"]
    return encode["text"]


def render(host: Host, prompt: Prompt) -> tuple[Path, list[str]]:
    """Run the prompt under a progress bar.

    Returns the video file in ComfyUI's folder, and what the prompt's node had to say of it.
    """
    bar = ProgressBar(find_node(prompt, "CausVid_TextToVideo"))
    run = host.run(prompt, bar, timeout=24 * 3600)
    bar.finish()
    if run.status != "success":
        raise DemoError(run.error or f"The rendering was {run.status}.")
    videos = [host.path(file) for file in run.files() if file["filename"].endswith(".mp4")]
    if not videos:
        raise DemoError(f"ComfyUI wrote no video; see {host.server.log}.")
    encode = find_node(prompt, "CLIPTextEncode")
    return videos[0], [notice.text for notice in run.notices if notice.node_id == encode]


def keep(
    environment: Environment, video: Path, text: str, arguments: argparse.Namespace
) -> tuple[Path, Path]:
    """Write an enlarged copy and a contact sheet to the output folder; returns both paths."""
    arguments.output.mkdir(parents=True, exist_ok=True)
    words = re.findall(r"[a-z0-9]+", text.lower())[:8] or ["video"]
    copy = arguments.output / f"{'-'.join(words)}-{arguments.seed}.mp4"
    sheet = copy.with_suffix(".png")
    command = [environment.python, ROOT / "scripts" / "present.py", video, copy, sheet]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise DemoError(f"ComfyUI wrote {video}, but copying it failed: {done.stderr[-500:]}")
    return copy, sheet
