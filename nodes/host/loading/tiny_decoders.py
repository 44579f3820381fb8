"""Tiny decoders for Wan 2.1 in the host's `vae_approx` folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import comfy.model_management as management
import folder_paths
import torch

from ....causvid_core.media import TinyDecoder
from ..files import file_identity
from ..messages import message
from .sampling import computing_on

FOLDER = "vae_approx"
SIGN = "taew2"  # in the names that the files are published under
NONE = "none"
_VALUES_PER_PX = 520
"""Numbers that decoding a latent frame takes per px of a frame at its peak: four frames of 64
channels, before and after a convolution.
"""


def tiny_names() -> list[str]:
    """What a widget offers: none, then the files that are there."""
    found = folder_paths.get_filename_list(FOLDER)
    return [NONE, *(name for name in found if SIGN in Path(name).name.lower())]


def tiny_path(name: str) -> Path:
    """The file behind a name of `tiny_names`; FileNotFoundError says where it was sought."""
    path = folder_paths.get_full_path(FOLDER, name)
    if path is None:
        folders = ", ".join(folder_paths.get_folder_paths(FOLDER))
        raise FileNotFoundError(message("tiny.missing", name=repr(name), folders=folders))
    return Path(path)


def identity(name: str | None) -> str:
    """Changes when the file behind a name does."""
    return file_identity(tiny_path(name)) if name and name != NONE else ""


@contextmanager
def opened(name: str, height: int, width: int, batch: int = 1) -> Iterator[TinyDecoder]:
    """A decoder from a file on the host's VAE device, with room for frames of that many px.

    Raises ValueError saying why the file is refused. A plain `with`, never around a rollout.
    """
    device = management.vae_device()
    dtype = torch.float32 if device.type == "cpu" else torch.float16
    decoder = TinyDecoder.from_file(tiny_path(name), device, dtype)
    pixels = batch * height * width
    if device.type != "cpu":
        management.free_memory(_VALUES_PER_PX * pixels * dtype.itemsize, device)
    with computing_on(device):
        yield decoder
