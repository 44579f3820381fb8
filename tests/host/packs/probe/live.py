"""The live view: frames shown as if they had been decoded, as many as asked."""

import threading
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from PIL import Image
from server import PromptServer

from .base import OutputNode, pack_module, shown


class Flood(OutputNode):
    """Shows batches of noise as if it had decoded them, and tells what that led to, as JSON."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "model": ("MODEL",),
                "stream": ("CAUSVID_STREAM",),
                "batches": ("INT", {"default": 10}),
                "pause": ("FLOAT", {"default": 0.05}),
                "fail": ("BOOLEAN", {"default": False}),
            }
        }

    def run(
        self, model: Any, stream: Any, batches: int, pause: float, fail: bool
    ) -> dict[str, Any]:
        waiting = []
        server = PromptServer.instance
        noise = torch.randint(256, (4, 512, 512, 3), dtype=torch.uint8)
        with pack_module("nodes.host.live.view").LiveView(
            model, stream, batches, decoded=True
        ) as view:
            for _ in range(batches):
                view.frames(noise)
                threading.Event().wait(pause)
                waiting.append(server.messages.qsize())
            if fail:
                raise RuntimeError("as asked")
        facts = {"waiting": waiting, "threads": live_threads()}
        return shown(facts)


class Threads(OutputNode):
    """How many threads of live views there are, as JSON."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"again": ("INT", {"default": 0})}}

    def run(self, again: int) -> dict[str, Any]:
        return shown({"threads": live_threads()})


class CountStills(OutputNode):
    """The steps at which progress takes a still, of 31 at 16 a second with 4 stills a second."""

    def run(self) -> dict[str, Any]:
        progress = pack_module("nodes.host.stream.progress")
        taken: list[int] = []
        step = 0

        def still(x0: Any) -> Any:
            taken.append(step)
            return SimpleNamespace(here=True, images=lambda: [Image.new("RGB", (8, 8))])

        view = SimpleNamespace(decoded=False, stills_per_second=4.0, still=still)
        on_step = progress.RolloutProgress(view, 0, [31])
        with mock.patch.object(progress, "time", SimpleNamespace(monotonic=lambda: step / 16)):
            for step in range(31):
                on_step(SimpleNamespace(block=0, step=step, x0=None))
        return shown(taken)


def live_threads() -> int:
    return sum(thread.name == "causvid-live" for thread in threading.enumerate())


NODES = {"Probe_CountStills": CountStills, "Probe_Flood": Flood, "Probe_LiveThreads": Threads}
