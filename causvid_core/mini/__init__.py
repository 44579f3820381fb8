"""CausVid Mini: a model of Wan's format that is small enough to live in the repository."""

from __future__ import annotations

from pathlib import Path

from .preview import LATENT_RGB_BIAS, LATENT_RGB_FACTORS
from .text_encoder import TextEncoder

__all__ = [
    "LATENT_RGB_BIAS",
    "LATENT_RGB_FACTORS",
    "TextEncoder",
    "example_jobs_path",
    "weights_path",
]

_FILES = {
    "dit": "causvid_mini_dit.safetensors",
    "vae": "causvid_mini_vae.safetensors",
    "text": "causvid_mini_text.safetensors",
    "sketch": "causvid_mini_sketch.safetensors",
}


def weights_path(name: str) -> Path:
    """Where the Mini's "dit", "vae", "text" or "sketch" lies."""
    if name not in _FILES:
        raise ValueError(f"The Mini has no part {name!r}; it has {', '.join(_FILES)}.")
    return Path(__file__).parent / "weights" / _FILES[name]


def example_jobs_path() -> Path:
    """Where a list of jobs for the Mini lies, as `causvid_core.jobs` reads it."""
    return Path(__file__).parent / "example_jobs.csv"
