"""CONDITIONING as a plain text prompt, or a sentence that says why it is none."""

from typing import Any

from torch import Tensor

# What a conditioning may carry beside its text, and how an artist would name it.
NOT_TEXT = {
    "area": "an area (Conditioning Set Area)",
    "mask": "a mask (Conditioning Set Mask)",
    "control": "a ControlNet",
    "gligen": "GLIGEN boxes",
    "hooks": "hooks (LoRA or keyframes on the conditioning)",
    "start_percent": "a timestep range (Conditioning Set Timestep Range)",
    "end_percent": "a timestep range (Conditioning Set Timestep Range)",
    "clip_start_percent": "a timestep range (a scheduled CLIP)",
    "clip_end_percent": "a timestep range (a scheduled CLIP)",
    "concat_latent_image": "a start image (an image-to-video node)",
    "concat_mask": "a start image (an image-to-video node)",
    "clip_vision_output": "an image (CLIP Vision)",
    "reference_latents": "reference images",
    "reference_latent": "reference images",
    "vace_frames": "control frames (VACE)",
    "camera_conditions": "a camera path",
    "time_dim_concat": "reference frames (Phantom)",
    "audio_embed": "audio",
    "context_latents": "reference frames",
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
        raise ValueError(
            f"The conditioning has {len(conditioning)} entries; a stream takes one text "
            "prompt. Write everything into one prompt instead of combining or averaging "
            "conditionings by Conditioning (Combine)."
        )
    embedding, options = conditioning[0]
    found = next((NOT_TEXT[key] for key in NOT_TEXT if options.get(key) is not None), None)
    if options.get("strength", 1.0) != 1.0:
        found = f"a strength of {options['strength']:g}"
    if found is not None:
        raise ValueError(
            f"The conditioning carries {found}, which has no meaning for a streamed video; "
            "connect CLIP Text Encode directly."
        )
    return embedding


def check_width(embedding: Tensor | None, text_dim: int) -> None:
    """Raise ValueError unless a prompt embedding is `[B, l, text_dim]`."""
    if embedding is None or embedding.ndim != 3 or embedding.shape[-1] != text_dim:
        shape = "nothing" if embedding is None else f"embeddings of width {embedding.shape[-1]}"
        raise ValueError(
            f"The prompt was encoded to {shape}, but this MODEL reads text of width {text_dim}; "
            "encode it with the text encoder that belongs to the MODEL (umt5_xxl with type wan "
            "for Wan 2.1, the CLIP of Load CausVid Mini for the Mini)."
        )
