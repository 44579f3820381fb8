"""For tests only: a node that shows frames of its own through the live view, as many as asked."""

import importlib
import json
import sys
import threading
from types import ModuleType
from typing import Any

import torch
from server import PromptServer

PACK_NAME = "causvid-stream"


def pack_module(path: str) -> ModuleType:
    """A module of the pack as the host has loaded it."""
    package = next(name for name in sys.modules if name.endswith(PACK_NAME))
    return importlib.import_module(f"{package}.{path}")


class Flood:
    """Shows batches of noise as if it had decoded them, and tells what that led to, as JSON."""

    CATEGORY = "test"
    FUNCTION = "run"
    OUTPUT_NODE = True
    RETURN_TYPES = ()

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
        return {"ui": {"text": [json.dumps(facts)]}}


class Threads:
    """How many threads of live views there are, as JSON."""

    CATEGORY = "test"
    FUNCTION = "run"
    OUTPUT_NODE = True
    RETURN_TYPES = ()

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"again": ("INT", {"default": 0})}}

    def run(self, again: int) -> dict[str, Any]:
        return {"ui": {"text": [json.dumps({"threads": live_threads()})]}}


def live_threads() -> int:
    return sum(thread.name == "causvid-live" for thread in threading.enumerate())


NODE_CLASS_MAPPINGS = {"Probe_Flood": Flood, "Probe_LiveThreads": Threads}
