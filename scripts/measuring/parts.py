"""The parts of a model that is measured, and the memory of this process."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from causvid_core.media.loading import load_vae
from causvid_core.media.vae import WanVAE
from causvid_core.mini import TextEncoder, weights_path
from causvid_core.model.checkpoints import load_model


class Parts(NamedTuple):
    """A model, its VAE and `encode`, which turns a prompt into a context [1, l, text_dim]."""

    model: nn.Module
    vae: WanVAE
    encode: Callable[[str], Tensor]


def mini() -> Parts:
    """CausVid Mini as it comes with the pack."""
    return Parts(
        load_model(str(weights_path("dit"))),
        load_vae(weights_path("vae")),
        TextEncoder.load().encode,
    )


def held_bytes() -> int:
    """Resident bytes of this process, after glibc has returned freed memory to the system.

    Without that, memory of large temporary tensors would count.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library
        pass
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import psutil  # comes with ComfyUI's requirements

        return psutil.Process().memory_info().rss
