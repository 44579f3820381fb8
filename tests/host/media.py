"""Footage for the pack's nodes, and what they make of it in the core's own terms."""

from functools import cache
from typing import Any

import torch
from hosting.graph import Prompt
from hosting.host import Host
from safetensors.torch import load_file
from torch import Tensor

from causvid_core.media.vae import LATENT_MEAN, LATENT_STD, WanVAE
from causvid_core.mini import weights_path
from causvid_core.mini.world import ClipSpec, render

from .prompts import Result, facts, mini_prompt, node

SPEC = ClipSpec("circle", "red", "large", "right", None, "steadily", "navy", "plain", (0.3, 0.5))
BLUE = "a large blue circle moving right over a navy plain background"
FORWARD = {
    "ImageToVideo": {"fit": "crop", "seconds": 2.0, "px_frames": 0},
    "VideoToVideo": {
        "strength": 0.5,
        "fit": "crop",
        "seconds": 0.0,
        "follow_motion": 0.0,
        "ending": "repeat last frame",
    },
    "ExtendVideo": {"fit": "crop", "seconds": 1.0, "context_seconds": 0.0, "px_frames": 0},
}


def clip(px_frames: int, height: int = 64, width: int = 64) -> Tensor:
    """A red circle that moves to the right, `[T, H, W, 3]`."""
    return render([SPEC], px_frames, height, width)[0].permute(1, 2, 3, 0).clamp(0, 1)


def media_prompt(kind: str, **changes: Any) -> Prompt:
    """One of the three nodes with the Mini, a look at its result and at its third output."""
    prompt = mini_prompt()
    shared = {key: prompt["video"]["inputs"][key] for key in ("width", "height", "seed")}
    prompt["text"]["inputs"]["text"] = BLUE
    prompt["video"] = node(
        f"CausVid_{kind}",
        **(
            {
                "model": ["mini", 0],
                "vae": ["mini", 2],
                "positive": ["text", 0],
                **shared,
                **FORWARD[kind],
            }
            | changes
        ),
    )
    prompt["count"] = node("PreviewAny", source=["video", 2])
    return prompt


def look(host: Host, prompt: Prompt) -> Result:
    """What the probe saw, with the latents in the model's scale, the count and the notices."""
    run = host.run(prompt)
    seen = facts(run)
    raw = torch.tensor(seen["values"]).view(seen["shape"])
    mean, std = (torch.tensor(v).view(1, -1, 1, 1, 1) for v in (LATENT_MEAN, LATENT_STD))
    seen["latents"] = (raw - mean) / std
    seen["count"] = int(run.outputs["count"]["text"][0])
    seen["notice"] = [n.text for n in run.notices if n.node_id == "video"][-1]
    return seen


@cache
def vae() -> WanVAE:
    return WanVAE.from_state_dict(load_file(weights_path("vae")))


def encode(frames: Tensor) -> Tensor:
    return vae().encode(frames.permute(3, 0, 1, 2)[None])


def decode(latents: Tensor) -> Tensor:
    return vae().decode(latents)[0].permute(1, 2, 3, 0)
