"""Decoding: IMAGEs kept whole, decoders against the host's own, and latents out of reach."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import comfy.sd
import comfy.taesd.taehv
import comfy.utils
import folder_paths
import torch
from safetensors.torch import save_file
from torch import Tensor

from .base import Node, OutputNode, pack_module, shown


class Keep(OutputNode):
    """Writes an IMAGE to a file in the temporary folder and names it."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",)}, "hidden": {"own": "UNIQUE_ID"}}

    def run(self, image: Tensor, own: str) -> dict[str, Any]:
        path = Path(folder_paths.get_temp_directory(), f"kept_{own}.safetensors")
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"image": image.cpu().clone().contiguous()}, path)
        return shown(str(path))


class CompareStreams(OutputNode):
    """How far the pack's streaming VAE is from the host's at once, for every way of cutting.

    The VAE is a small one of random weights, so that every tap of it counts.
    """

    def run(self) -> dict[str, Any]:
        media = pack_module("causvid_core.media.vae"), pack_module("causvid_core.media.wan_stream")
        with torch.random.fork_rng():
            torch.manual_seed(0)
            vae = comfy.sd.VAE(sd=media[0].WanVAE(8).state_dict())
        generator = torch.Generator().manual_seed(1)
        px = torch.rand(17, 32, 48, 3, generator=generator)
        latents = torch.randn(1, 16, 5, 4, 6, generator=generator)
        mean, std = (
            torch.tensor(values).view(1, -1, 1, 1, 1)
            for values in (media[0].LATENT_MEAN, media[0].LATENT_STD)
        )
        with torch.inference_mode():
            encoded = ((vae.encode(px) - mean) / std).cpu()
            decoded = vae.decode(latents * std + mean)[0].permute(3, 0, 1, 2)[None].cpu()
        stream_vae = pack_module("nodes.host.media.vae").StreamVAE(vae)
        weights, farthest = stream_vae.on_weights(), {"encode": 0.0, "decode": 0.0}
        ways = ([0, 1, 2, 3, 4, 5], [0, 2, 5], [0, 1, 5], [0, 5])
        for how, make, whole, expected, ends in (
            ("decode", media[1].WanDecoder, latents, decoded, ways),
            (
                "encode",
                media[1].WanEncoder,
                px.permute(3, 0, 1, 2)[None],
                encoded,
                ([*range(18)], [0, 3, 8, 17], [0, 17]),
            ),
        ):
            for way in ends:
                codec, pieces = make(weights), []
                for start, end in pairwise(way):
                    codec.push(whole[:, :, start:end])
                    pieces.append(codec.drain())
                    other = make(weights)  # the memory goes on elsewhere
                    other.memory, codec = codec.memory, other
                joined = torch.cat([piece for piece in pieces if piece is not None], dim=2).cpu()
                difference = (joined - expected).abs().max().item()
                farthest[how] = max(farthest[how], difference)
        farthest["size"] = encoded.std().item()
        return shown(farthest)


class CompareTiny(OutputNode):
    """How far the pack's tiny decoder is from the host's TAEHV on the same random weights.

    Leaves the weights in `vae_approx`, as a file that the host's own VAE loader offers.
    """

    def run(self) -> dict[str, Any]:
        tiny = pack_module("causvid_core.media.tiny")
        theirs = comfy.taesd.taehv.TAEHV(latent_channels=16)
        theirs.show_progress_bar = False
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            for parameter in theirs.parameters():
                fan_in = parameter[0].numel() if parameter.ndim > 1 else 16
                parameter.copy_(torch.randn(parameter.shape) * (0.8 / fan_in) ** 0.5)
            theirs.decoder[-1].bias.fill_(0.5)  # most px between black and white
            latents = 2 * torch.randn(2, 16, 4, 3, 4)
        weights = {name: value.clone() for name, value in theirs.state_dict().items()}
        with torch.inference_mode():
            expected = theirs.decode(latents).clamp(0, 1).cpu()
        decoder = tiny.TinyDecoder(tiny.TinyVAE.from_state_dict(weights))
        joined = torch.cat([decoder.decode(part) for part in latents.split([1, 3], dim=2)], dim=2)
        [folder, *_] = folder_paths.get_folder_paths("vae_approx")
        Path(folder).mkdir(parents=True, exist_ok=True)
        save_file(weights, Path(folder, "lighttaew2_1.safetensors"))
        facts = {
            "shapes": [list(expected.shape), list(joined.shape)],
            "difference": (joined - expected).abs().max().item(),
            "within": ((expected > 0) & (expected < 1)).float().mean().item(),
        }
        return shown(facts)


class TailLatent(Node):
    """The end of a LATENT."""

    RETURN_TYPES = ("LATENT",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"latent": ("LATENT",), "latent_frames": ("INT", {"default": 1})}}

    def run(self, latent: dict[str, Tensor], latent_frames: int) -> tuple[dict[str, Tensor]]:
        return ({"samples": latent["samples"][:, :, -latent_frames:]},)


class HugeLatent(Node):
    """A LATENT of 832x480 px that takes no memory itself, but a terabyte as images."""

    RETURN_TYPES = ("LATENT",)

    def run(self) -> tuple[dict[str, Tensor]]:
        return ({"samples": torch.zeros(1, 1, 1, 1, 1).expand(1, 16, 60_000, 60, 104)},)


NODES = {
    "DecodeProbe_Keep": Keep,
    "DecodeProbe_CompareStreams": CompareStreams,
    "DecodeProbe_CompareTiny": CompareTiny,
    "DecodeProbe_TailLatent": TailLatent,
    "DecodeProbe_HugeLatent": HugeLatent,
}
