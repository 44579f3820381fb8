"""Recognising what a file is when it is not the Wan transformer that was asked for."""

from __future__ import annotations

import re

from ...storage.lazy import LazyDict

_ADVICE = "expected a Wan 2.1 text-to-video or image-to-video transformer"

_SIGNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("a Wan VACE model; control videos need its own nodes", (r"vace_(blocks|patch_embedding)\.",)),
    (
        "a Wan VAE, which turns latents into frames; load it with the VAE loader",
        (r"^decoder\.head\.0\.gamma$", r"^decoder\."),
    ),
    ("a diffusers VAE; load it with the VAE loader", (r"^decoder\.conv_in\.", r"^decoder\.")),
    ("a VAE; load it with the VAE loader", (r"decoder\.up(samples|\.\d)", r"encoder\.down")),
    (
        "a tiny VAE (TAEHV), which decodes previews; put it into models/vae_approx",
        (r"^decoder\.1\.weight$", r"^encoder\.0\.weight$"),
    ),
    (
        "a T5 text encoder; load it with the CLIP loader",
        (r"encoder\.block\.\d+\.layer\.0\.SelfAttention\.",),
    ),
    (
        "the UMT5 text encoder of Wan; load it with the CLIP loader",
        (r"^token_embedding\.weight$", r"^blocks\.\d+\.attn\."),
    ),
    ("a CLIP text encoder; load it with the CLIP loader", (r"text_model\.encoder\.layers\.",)),
    (
        "a CLIP vision encoder; load it with the CLIP Vision loader",
        (r"(vision_model\.|^visual\.)",),
    ),
    ("a language model", (r"layers\.\d+\.self_attn\.q_proj\.",)),
    ("a Stable Diffusion XL checkpoint", (r"input_blocks\.0\.", r"label_emb\.")),
    ("a Stable Diffusion XL checkpoint", (r"^down_blocks\.\d", r"^add_embedding\.")),
    ("a Stable Diffusion 1 or 2 checkpoint", (r"input_blocks\.0\.",)),
    ("a Stable Diffusion 1 or 2 checkpoint", (r"^down_blocks\.\d", r"^conv_in\.")),
    ("a Stable Diffusion 3 checkpoint", (r"joint_blocks\.\d",)),
    ("a HunyuanVideo checkpoint", (r"txt_in\.individual_token_refiner",)),
    ("a Flux checkpoint", (r"double_blocks\.\d+\.img_attn",)),
    ("an LTX-Video checkpoint", (r"transformer_blocks\.\d", r"patchify_proj\.")),
    ("a CogVideoX checkpoint", (r"transformer_blocks\.\d", r"patch_embed\.text_proj")),
    ("a checkpoint of another diffusers transformer", (r"^transformer_blocks\.\d",)),
)
_LORA = re.compile(
    r"\.(lora_[AB]|lora_(up|down)|lora\.(up|down)|lokr_w\d|hada_w\d|diff_b)(\.|$|_)"
    r"|lora_magnitude_vector"
)


def describe_foreign(tensors: LazyDict) -> str | None:
    """A sentence for a file that is something else, or None for what looks like Wan.

    `tensors` carry names as `normalise` leaves them, or as they were written.
    """
    if any(".base_layer." in name for name in tensors):
        return (
            "holds a model with a LoRA that was not merged (PEFT's base_layer names); save it "
            "after merge_and_unload, or give the base model and the LoRA as two files"
        )
    if is_lora(tensors):
        return (
            f"is a LoRA of {sum('lora_A' in n or 'lora_down' in n for n in tensors)} layers, not a "
            "whole model; load the base model and apply this file to it"
        )
    for what, patterns in _SIGNS:
        if all(any(re.search(pattern, name) for name in tensors) for pattern in patterns):
            return f"is {what}; {_ADVICE}"
    patch = tensors.get("patch_embedding.weight")
    if patch is not None and len(patch.shape) == 5:
        head = tensors.get("head.head.weight")
        if head is not None and head.shape[0] == 192:
            return (
                f"is Wan 2.2 TI2V-5B, whose latents have 48 channels and need the Wan 2.2 VAE; "
                f"{_ADVICE} with 16 channels"
            )
    if not any(name.startswith("blocks.") for name in tensors):
        some = ", ".join(sorted(tensors)[:3])
        return f"is not a Wan model ({len(tensors)} tensors such as {some}); {_ADVICE}"
    return None


def is_lora(tensors: LazyDict) -> bool:
    """Whether the names are those of a low-rank patch."""
    return any(_LORA.search(name) for name in tensors)
