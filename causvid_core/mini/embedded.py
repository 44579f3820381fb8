"""The Mini, as far as training calls it by its name."""

from __future__ import annotations

from pathlib import Path

from ..distill.embedded import EmbeddedModel, Encode, Source
from .files import weights_path


def embedded(folder: Path | None = None) -> EmbeddedModel:
    """The Mini with the pack's files, or with those in a folder.

    The command line asks for it before it knows whether it needs torch, so modules that do are
    imported by those who call it.
    """

    def text_encoder() -> Encode:
        from .text_encoder import TextEncoder

        return TextEncoder.load(weights_path("text", folder)).embed

    return EmbeddedModel("mini", text_encoder, weights_path("vae", folder), _world, _prompt)


def _world(folder: Path) -> Source:
    from .clips import World

    return World(folder)


def _prompt(seed: int, number: int) -> str:
    from .world import generator_of, sample_spec

    return sample_spec(generator_of(seed, number), opening=True).caption


MINI = embedded()
