"""CONDITIONING as a plain text prompt, or a sentence that says what else it carries."""

from typing import Any

from torch import Tensor

from ..messages import message

# What a conditioning may carry next to its text: the message that names it, and its options.
NOT_TEXT = {
    "carries.area": ("area",),
    "carries.mask": ("mask",),
    "carries.controlnet": ("control",),
    "carries.gligen": ("gligen",),
    "carries.hooks": ("hooks",),
    "carries.timestep_range": ("start_percent", "end_percent"),
    "carries.scheduled_clip": ("clip_start_percent", "clip_end_percent"),
    "carries.start_image": ("concat_latent_image", "concat_mask"),
    "carries.clip_vision": ("clip_vision_output",),
    "carries.reference_images": ("reference_latents", "reference_latent"),
    "carries.vace": ("vace_frames",),
    "carries.camera": ("camera_conditions",),
    "carries.phantom": ("time_dim_concat",),
    "carries.audio": ("audio_embed",),
    "carries.reference_frames": ("context_latents",),
}


def plain_prompt(conditioning: list[list[Any]]) -> Tensor | None:
    """The embedding of a conditioning, of any width, or None where the encoder gave none.

    Raises ValueError when the conditioning is more or other than one text prompt.
    """
    if len(conditioning) != 1:
        raise ValueError(message("prompt.several_entries", entries=len(conditioning)))
    embedding, options = conditioning[0]
    given = {name for name, value in options.items() if value is not None}
    found = next((message(key) for key, names in NOT_TEXT.items() if given & {*names}), "")
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
