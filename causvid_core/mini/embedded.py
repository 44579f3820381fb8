"""The Mini, as far as training calls it by its name."""

from __future__ import annotations

from pathlib import Path

from ..distill.embedded import EmbeddedModel
from .clips import World
from .files import weights_path
from .text_encoder import TextEncoder
from .world import generator_of, sample_spec


def embedded(folder: Path | None = None) -> EmbeddedModel:
    """The Mini with the pack's files, or with those in a folder."""
    return EmbeddedModel(
        "mini",
        lambda: TextEncoder.load(weights_path("text", folder)).embed,
        weights_path("vae", folder),
        World,
        lambda seed, number: sample_spec(generator_of(seed, number), opening=True).caption,
    )


MINI = embedded()
