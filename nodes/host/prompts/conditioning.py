"""CONDITIONING as a plain text prompt, or a sentence that says what else it carries."""

from typing import Any

from torch import Tensor

from ..messages import message

# What a conditioning may carry next to its text; and the message that names it.
NOT_TEXT = {
    "area": "carries.area",
    "mask": "carries.mask",
    "control": "carries.controlnet",
    "gligen": "carries.gligen",
    "hooks": "carries.hooks",
    "start_percent": "carries.timestep_range",
    "end_percent": "carries.timestep_range",
    "clip_start_percent": "carries.scheduled_clip",
    "clip_end_percent": "carries.scheduled_clip",
    "concat_latent_image": "carries.start_image",
    "concat_mask": "carries.start_image",
    "clip_vision_output": "carries.clip_vision",
    "reference_latents": "carries.reference_images",
    "reference_latent": "carries.reference_images",
    "vace_frames": "carries.vace",
    "camera_conditions": "carries.camera",
    "time_dim_concat": "carries.phantom",
    "audio_embed": "carries.audio",
    "context_latents": "carries.reference_frames",
}


def text_context(conditioning: list[list[Any]], text_dim: int) -> Tensor:
    """The prompt embedding `[B, l, text_dim]`.

    Raises ValueError when the conditioning is not one plain text prompt of that width.
    """
    embedding = plain_prompt(conditioning)
    check_width(embedding, text_dim)
    return embedding


def plain_prompt(conditioning: list[list[Any]]) -> Tensor | None:
    """The embedding of a conditioning, of any width, or None where the encoder gave none.

    Raises ValueError when the conditioning is more or other than one text prompt.
    """
    if len(conditioning) != 1:
        raise ValueError(message("prompt.several_entries", entries=len(conditioning)))
    embedding, options = conditioning[0]
    kind = next((NOT_TEXT[key] for key in NOT_TEXT if options.get(key) is not None), None)
    found = message(kind) if kind else ""
    if options.get("strength", 1.0) != 1.0:
        found = message("carries.strength", strength=options["strength"])
    if found:
        raise ValueError(message("prompt.not_text", found=found))
    return embedding


def check_width(embedding: Tensor | None, text_dim: int) -> None:
    """Raise ValueError unless a prompt embedding is `[B, l, text_dim]`."""
    if embedding is None:
        raise ValueError(message("prompt.no_embedding"))
    if embedding.ndim != 3 or embedding.shape[-1] != text_dim:
        raise ValueError(
            message("prompt.other_width", width=embedding.shape[-1], text_dim=text_dim)
        )
