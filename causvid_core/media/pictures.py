"""Picture files as their author saw them: upright, in sRGB, over a named background."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

from .fitting import over_background

_GREY_16 = 65535


def read_picture(path: Path) -> Tensor:
    """A picture `[H, W, 3]` in 0..1.

    EXIF orientation and colour profile are applied; transparent parts are black. Raises ValueError
    in a sentence for a file that is no picture, OSError when there is none.
    """
    try:
        with Image.open(path) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
            profile = image.info.get("icc_profile")
    except FileNotFoundError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise ValueError(
            f"{path.name} is no picture that can be read: it is damaged, cut off, too large or of "
            "another kind; choose another one"
        ) from None
    return over_background(_levels(upright, profile)[None])[0]


def _levels(image: Any, profile: bytes | None) -> Tensor:
    """`[H, W, 3 or 4]` in 0..1."""
    if image.mode == "F":
        return _tensor(np.asarray(image), 1.0)
    if image.mode.startswith("I"):  # grey of 16 bits
        return _tensor(np.asarray(image).astype(np.float32), _GREY_16)
    clear = image.has_transparency_data
    if clear and image.mode != "RGBA":
        image = image.convert("RGBA")
    coloured = image if image.mode in ("RGB", "RGBA", "CMYK", "L") else image.convert("RGB")
    return _tensor(np.asarray(_in_srgb(coloured, profile)), 255)


def _in_srgb(image: Any, profile: bytes | None) -> Any:
    """The picture in sRGB; a profile that cannot be used is ignored."""
    wanted = "RGBA" if image.mode == "RGBA" else "RGB"
    if profile:
        try:
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            made = ImageCms.profileToProfile(image, given, srgb, outputMode=wanted)
            if made is not None:
                return made
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass
    return image.convert(wanted)


def _tensor(values: Any, most: float) -> Tensor:
    levels = np.clip(np.asarray(values, dtype=np.float32) / most, 0, 1)
    pixels = torch.from_numpy(np.ascontiguousarray(levels))
    return pixels if pixels.ndim == 3 else pixels[..., None].expand(-1, -1, 3)
