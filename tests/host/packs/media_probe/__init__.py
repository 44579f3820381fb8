"""For tests only: the pack's VAE code against the host's, and a VAE that is none of Wan's."""

import importlib
import json
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

PACK_NAME = "causvid-stream"


def pack_module(path: str) -> ModuleType:
    """A module of the pack as the host has loaded it."""
    package = next(name for name in sys.modules if name.endswith(PACK_NAME))
    return importlib.import_module(f"{package}.{path}")


class CompareVAE:
    """How far the pack's encoding is from the host's, and whether weights were copied."""

    CATEGORY, FUNCTION, RETURN_TYPES, OUTPUT_NODE = "test", "run", (), True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"model": ("MODEL",), "vae": ("VAE",)}}

    def run(self, model: Any, vae: Any) -> dict[str, Any]:
        px = torch.rand(13, 48, 64, 3, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            theirs = model.model.process_latent_in(vae.encode(px))
        stream_vae = pack_module("nodes.host.media.vae").StreamVAE(vae)
        ours = stream_vae.encode(px)
        tree = vae.first_stage_model
        own = {parameter.data_ptr() for parameter in stream_vae.on_weights().parameters()}
        facts = {
            "shapes": [list(theirs.shape), list(ours.shape)],
            "difference": (ours - theirs).abs().max().item(),
            "size": theirs.std().item(),
            "shared": own == {parameter.data_ptr() for parameter in tree.parameters()},
        }
        decoded = stream_vae.decode(ours)
        with torch.inference_mode():
            back = vae.decode(model.model.process_latent_out(ours))[0]
        facts["decoded"] = (decoded - back).abs().max().item()
        return {"ui": {"text": [json.dumps(facts)]}}


class OtherVAE:
    """A VAE that is no video VAE."""

    CATEGORY, FUNCTION, RETURN_TYPES = "test", "run", ("VAE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {}}

    def run(self) -> tuple[Any]:
        return (SimpleNamespace(first_stage_model=torch.nn.Linear(4, 4), patcher=None),)


class Video:
    """What the host's own loader gets out of a VIDEO."""

    CATEGORY, FUNCTION, RETURN_TYPES, OUTPUT_NODE = "test", "run", (), True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"video": ("VIDEO",)}}

    def run(self, video: Any) -> dict[str, Any]:
        parts = video.get_components()
        facts = {
            "shape": list(parts.images.shape),
            "mean": parts.images.mean().item(),
            "fps": float(parts.frame_rate),
            "metadata": dict(parts.metadata or {}),
        }
        return {"ui": {"text": [json.dumps(facts)]}}


NODE_CLASS_MAPPINGS = {
    "MediaProbe_CompareVAE": CompareVAE,
    "MediaProbe_OtherVAE": OtherVAE,
    "MediaProbe_Video": Video,
}
