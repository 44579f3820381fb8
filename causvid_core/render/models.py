"""The models of a render: transformer, VAE, and what gives prompts their embeddings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .. import mini
from ..media.loading import load_vae
from ..media.vae import WanVAE
from ..model.checkpoints import load_model, open_checkpoint
from ..model.checkpoints.read import read_stored
from ..model.transformer import CausalWan
from ..stream.presets import Preset, presets
from ..stream.recognise import preset_of
from .request import RenderRequest

MINI = "causvid-mini"


@dataclass(frozen=True)
class Models:
    """encode(text) gives the context `[1, l, text_dim]` of a prompt. unknown_words(text): those
    that mean nothing to what encodes it, as far as that is known.
    """

    model: CausalWan
    vae: WanVAE
    preset: Preset
    encode: Callable[[str], Tensor]
    device: torch.device
    unknown_words: Callable[[str], list[str]]


def load_models(request: RenderRequest) -> Models:
    """The requested models on their device; CausVid Mini's where none are named.

    Raises ValueError or OSError in a sentence, before any large read where that is possible.
    """
    device = request.device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = getattr(torch, request.dtype or ("float32" if device == "cpu" else "bfloat16"))
    name = _preset_name(request)
    of_mini = name.startswith(MINI)
    if not of_mini and request.vae is None:
        raise ValueError(
            "this checkpoint needs Wan's VAE; give --vae wan_2.1_vae.safetensors "
            "(python -m causvid_core download wan-vae)"
        )
    if not of_mini and request.context is None:
        raise ValueError(
            "prompts for this checkpoint are encoded by umT5-XXL, which this command does not "
            "run; give their embeddings with --context FILE.safetensors, a tensor of "
            "[tokens, 4096] named by each prompt, or render in ComfyUI"
        )
    if request.context:
        encode, unknown_words = _stored(request.context), _all_known
    else:
        words = mini.TextEncoder.load()
        encode, unknown_words = words.encode, words.unknown_words
    vae = load_vae(request.vae or mini.weights_path("vae"))
    model = load_model(
        request.checkpoint or mini.weights_path("dit"),
        device=device,
        dtype=dtype,
        lora=request.lora,
        lora_strength=request.lora_strength,
    )
    vae = vae.to(device, torch.float32 if of_mini else dtype)
    return Models(model, vae, presets[name], encode, torch.device(device), unknown_words)


def _preset_name(request: RenderRequest) -> str:
    """The preset asked for, or the one of a published checkpoint, or the Mini's."""
    if request.recipe is not None:
        if request.recipe not in presets:
            raise ValueError(
                f"there is no recipe {request.recipe!r}; the recipes are {', '.join(presets)}"
            )
        return request.recipe
    if request.checkpoint is None:
        return MINI
    found = preset_of(open_checkpoint(request.checkpoint))
    if found is None:
        raise ValueError(
            f"{Path(request.checkpoint).name} is not a published checkpoint; say with --recipe "
            f"how it is sampled: {', '.join(presets)}"
        )
    return found


def _all_known(text: str) -> list[str]:
    """No unknown words: stored embeddings are looked up by whole prompts."""
    return []


def _stored(path: str) -> Callable[[str], Tensor]:
    """encode(text) from a file of embeddings; a file with a single one gives it for any text."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path} with prompt embeddings")
    tensors = read_stored(path).tensors

    def encode(text: str) -> Tensor:
        stored = next(iter(tensors.values())) if len(tensors) == 1 else tensors.get(text)
        if stored is None:
            raise ValueError(
                f"{Path(path).name} has no embedding named {text[:60]!r}; it has "
                f"{', '.join(repr(name[:40]) for name in list(tensors)[:5])}"
            )
        embedding = stored.load().float()
        if embedding.ndim not in (2, 3):
            raise ValueError(
                f"the embedding of {text[:60]!r} has shape {tuple(embedding.shape)}; expected "
                "(tokens, 4096)"
            )
        return embedding if embedding.ndim == 3 else embedding[None]

    return encode
