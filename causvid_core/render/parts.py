"""The models of a render: transformer, decoder and what gives prompts their embeddings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from .. import mini
from ..media.decoding import StreamDecoder
from ..media.loading import load_vae
from ..media.vae import WanVAE
from ..media.wan_stream import WanDecoder, WanEncoder
from ..model.checkpoints import load_model, open_checkpoint
from ..model.transformer import CausalWan
from ..stream.presets import Preset, presets
from ..stream.recognise import preset_of

MINI = "causvid-mini"


@dataclass(frozen=True)
class Sources:
    """Where the parts come from; None for the Mini's.

    context: a safetensors file with the embeddings of prompts, one tensor `[tokens, 4096]` (or
    `[1, tokens, 4096]`) named by each prompt.
    """

    checkpoint: str | None = None
    lora: str | None = None
    lora_strength: float = 1.0
    vae: str | None = None
    context: str | None = None
    recipe: str | None = None
    device: str = "cpu"
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Parts:
    """encode(text) gives the context `[1, l, text_dim]` of a prompt."""

    model: CausalWan
    vae: WanVAE
    preset: Preset
    encode: Callable[[str], Tensor]
    device: torch.device

    def decoder(self) -> StreamDecoder:
        """A fresh one."""
        return WanDecoder(self.vae)

    def encoder(self) -> WanEncoder:
        """A fresh one."""
        return WanEncoder(self.vae)


def load_parts(sources: Sources) -> Parts:
    """Everything on its device. Raises ValueError or OSError in a sentence, before any large read
    where that is possible.
    """
    name = preset_name(sources)
    of_mini = name.startswith(MINI)
    if not of_mini and sources.vae is None:
        raise ValueError(
            "this checkpoint needs Wan's VAE; give --vae wan_2.1_vae.safetensors "
            "(python -m causvid_core download wan-vae)"
        )
    if not of_mini and sources.context is None:
        raise ValueError(
            "prompts for this checkpoint are encoded by umT5-XXL, which this command does not "
            "run; give their embeddings with --context FILE.safetensors, a tensor of "
            "[tokens, 4096] named by each prompt, or render in ComfyUI"
        )
    encode = embeddings(sources.context) if sources.context else mini.TextEncoder.load().encode
    vae = load_vae(sources.vae or mini.weights_path("vae"))
    model = load_model(
        sources.checkpoint or mini.weights_path("dit"),
        device=sources.device,
        dtype=sources.dtype,
        lora=sources.lora,
        lora_strength=sources.lora_strength,
    )
    vae = vae.to(sources.device, torch.float32 if of_mini else sources.dtype)
    return Parts(model, vae, presets[name], encode, torch.device(sources.device))


def preset_name(sources: Sources) -> str:
    """The preset asked for, or the one of a published checkpoint, or the Mini's."""
    if sources.recipe is not None:
        if sources.recipe not in presets:
            raise ValueError(
                f"there is no recipe {sources.recipe!r}; known are {', '.join(presets)}"
            )
        return sources.recipe
    if sources.checkpoint is None:
        return MINI
    found = preset_of(open_checkpoint(sources.checkpoint))
    if found is None:
        raise ValueError(
            f"{Path(sources.checkpoint).name} is no checkpoint known by name; say with --recipe "
            f"how it is sampled: {', '.join(presets)}"
        )
    return found


def embeddings(path: str) -> Callable[[str], Tensor]:
    """encode(text) from a file of embeddings; with a single one in it, any text is that one."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path} with embeddings of prompts")
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118

    def encode(text: str) -> Tensor:
        found = next(iter(tensors.values())) if len(tensors) == 1 else tensors.get(text)
        if found is None:
            raise ValueError(
                f"{Path(path).name} has no embedding named {text[:60]!r}; it has "
                f"{', '.join(repr(name[:40]) for name in list(tensors)[:5])}"
            )
        if found.ndim not in (2, 3):
            raise ValueError(
                f"the embedding of {text[:60]!r} has shape {tuple(found.shape)}; expected "
                "(tokens, 4096)"
            )
        return found if found.ndim == 3 else found[None]

    return encode
