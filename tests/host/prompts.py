"""Prompts for the pack's nodes, in the server's format, and what probes say about their results."""

import json
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from hosting.client import Message, Run
from hosting.graph import Prompt
from hosting.host import Host

TEXT = "a large red circle moving right over a navy gradient background"
DIT = "mini_dit.safetensors"
LORA = "mini_lora.safetensors"
SEEDS = count(1000)  # equal inputs are answered from the server's cache

Result = dict[str, Any]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def mini_prompt(**changes: Any) -> Prompt:
    """Load Mini, prompt, text to video and a look at the result; `changes` to text to video."""
    inputs = {
        "model": ["mini", 0],
        "positive": ["text", 0],
        "width": 64,
        "height": 64,
        "seconds": 1.0,
        "seed": next(SEEDS),
        "px_frames": 0,
    }
    return {
        "mini": node("CausVid_LoadMini"),
        "text": node("CLIPTextEncode", clip=["mini", 1], text=TEXT),
        "video": node("CausVid_TextToVideo", **(inputs | changes)),
        "look": node("Probe_Look", latent=["video", 1], stream=["video", 0]),
    }


def lora_node(strength: float, model: str = "mini") -> dict[str, Any]:
    """The test's LoRA on the MODEL of a loader."""
    return node("LoraLoaderModelOnly", model=[model, 0], lora_name=LORA, strength_model=strength)


def recipe_node(**changes: Any) -> dict[str, Any]:
    """The recipe node with its widgets at their defaults, but for `changes`."""
    return node(
        "CausVid_Recipe",
        **(
            {
                "preset": "causvid-mini",
                "timesteps": "",
                "warp": "from preset",
                "shift": 0.0,
                "frames_per_block": 0,
                "first_block_frames": -1,
                "window": -1,
                "sink": -1,
                "positions": "from preset",
                "context_timestep": -1,
            }
            | changes
        ),
    )


def facts(run: Run, node_id: str = "look") -> Result:
    """What a probe said in a run that must have succeeded."""
    assert run.status == "success", run.error
    return json.loads(run.outputs[node_id]["text"][0])


def cancel(host: Host, node_id: str | None = None, value: float = 0) -> Callable[[Message], None]:
    """A listener that presses Cancel once a node, or any, has reported this much progress."""

    def press(message: Message) -> None:
        if not isinstance(message, dict) or message["type"] != "progress":
            return
        data = message["data"]
        if node_id in (None, data["node"]) and data["value"] >= value:
            host.client.interrupt()

    return press


def entry_of(host: Host, prompt_id: str, patience: float = 600.0) -> Result:
    """The entry of a prompt in the history, once it has ended."""
    deadline = time.monotonic() + patience
    while not (found := host.client.get(f"/history/{prompt_id}")):
        assert time.monotonic() < deadline, f"{prompt_id} has not ended"
        time.sleep(0.05)
    return found[prompt_id]
