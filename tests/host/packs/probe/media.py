"""Media: the VAE code against the host's, a VAE that is no video VAE, and what a VIDEO holds."""

from types import SimpleNamespace
from typing import Any

import torch

from .base import Node, OutputNode, pack_module, shown


class CompareVAE(OutputNode):
    """How far the pack's encoding is from the host's, and whether weights were copied."""

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
        return shown(facts)


class OtherVAE(Node):
    """A VAE that is no video VAE."""

    RETURN_TYPES = ("VAE",)

    def run(self) -> tuple[Any]:
        return (SimpleNamespace(first_stage_model=torch.nn.Linear(4, 4), patcher=None),)


class Video(OutputNode):
    """What the host's own loader gets out of a VIDEO."""

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
        return shown(facts)


class Identity(OutputNode):
    """Whether every px of an IMAGE counts for what a render is recognised by."""

    def run(self) -> dict[str, Any]:
        footage = pack_module("nodes.host.media.footage").footage
        images = torch.zeros(40, 16, 16, 3)
        changed = images.clone()
        changed[3, 5, 6, 1] = 1
        names = [footage(images=batch).identify() for batch in (images, images.clone(), changed)]
        return shown({"same": names[0] == names[1], "other": names[0] != names[2]})


NODES = {
    "MediaProbe_Identity": Identity,
    "MediaProbe_CompareVAE": CompareVAE,
    "MediaProbe_OtherVAE": OtherVAE,
    "MediaProbe_Video": Video,
}
