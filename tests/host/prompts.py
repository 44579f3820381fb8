"""Prompts for the pack's nodes, in the server's format, and what probes say about their results."""

import json
from itertools import count
from typing import Any

from hosting.client import Run
from hosting.graph import Prompt

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
