"""Wan's VAE from a file."""

from __future__ import annotations

from pathlib import Path

from ..model.checkpoints.read import read_stored
from .vae import WanVAE


def load_vae(path: str | Path) -> WanVAE:
    """Wan's VAE from a file in Wan's own layout, in float32 on the CPU.

    Raises FileNotFoundError when there is no such file, ValueError when it holds no Wan VAE.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no VAE file {path}")
    weights = {name: tensor.load() for name, tensor in read_stored(path).tensors.items()}
    return WanVAE.from_state_dict(weights)
