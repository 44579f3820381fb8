"""The sizes of a Wan transformer, and how to read them off a checkpoint."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

LATENT_CHANNELS = 16
"""Channels of the latents that the Wan 2.1 VAE makes."""

HEAD_DIM = 128
"""Head width of every published Wan; a state dict does not say it, so loaders assume it."""

_COUNTS = (
    "dim",
    "ffn_dim",
    "num_heads",
    "num_layers",
    "freq_dim",
    "text_dim",
    "text_len",
    "in_dim",
    "out_dim",
    "image_dim",
)
_MOST = 1_000_000
_MOST_LAYERS = 1000

_TOP_LEVEL = {
    "patch_embedding",
    "text_embedding",
    "time_embedding",
    "time_projection",
    "blocks",
    "head",
    "img_emb",
}
_IN_BLOCK = {"modulation", "norm1", "norm2", "norm3", "self_attn", "cross_attn", "ffn"}
_RELATIVES = {
    "vace": "a VACE model (it has control blocks of its own)",
    "control_adapter": "a camera or control model",
    "ref_conv": "a model with a reference-image branch (Wan Fun Control or Phantom)",
    "audio": "a speech-to-video model",
    "casual_audio": "a speech-to-video model",
    "face": "a character animation model",
    "pose": "a character animation model",
    "img_emb.emb_pos": "a first-and-last-frame model",
    "motion": "a character animation model",
}


@dataclass(frozen=True)
class WanConfig:
    """Sizes of a Wan 2.1 transformer.

    `in_dim` exceeds `out_dim` for image-to-video models, whose extra channels carry a mask and
    an image. `image_dim` is the width of the CLIP vision features they may take.
    """

    dim: int
    ffn_dim: int
    num_heads: int
    num_layers: int
    freq_dim: int = 256
    text_dim: int = 4096
    text_len: int = 512
    in_dim: int = LATENT_CHANNELS
    out_dim: int = LATENT_CHANNELS
    patch_size: tuple[int, int, int] = (1, 2, 2)
    eps: float = 1e-6
    qk_norm: bool = True
    cross_attn_norm: bool = True
    model_type: str = "t2v"
    image_dim: int = 1280

    def __post_init__(self) -> None:
        sizes = tuple(self.patch_size)
        if any(type(size) is not int or not 0 < size <= _MOST for size in sizes):
            raise ValueError(f"patch_size is {str(sizes)[:40]}; expected whole numbers from 1")
        object.__setattr__(self, "patch_size", sizes)
        for name in _COUNTS:
            value = getattr(self, name)
            if type(value) is not int or not 0 < value <= _MOST:
                raise ValueError(
                    f"{name} is {str(value)[:40]}; expected a whole number from 1 to {_MOST:,}"
                )
        if self.num_layers > _MOST_LAYERS:
            raise ValueError(
                f"num_layers is {self.num_layers:,}; no Wan model has more than {_MOST_LAYERS}"
            )
        if type(self.eps) not in (int, float) or not 0 < self.eps < 1:
            raise ValueError(f"eps is {str(self.eps)[:40]}; expected a number between 0 and 1")
        if self.model_type not in ("t2v", "i2v"):
            raise ValueError(f"model_type is {self.model_type!r}; expected 't2v' or 'i2v'")
        if self.dim % self.num_heads or self.head_dim % 2:
            raise ValueError(
                f"dim {self.dim} cannot be shared by {self.num_heads} heads; "
                "each head needs the same, even number of channels"
            )
        if self.freq_dim % 2:
            raise ValueError(f"freq_dim is {self.freq_dim}; it must be even")
        if len(self.patch_size) != 3 or self.patch_size[0] != 1:
            raise ValueError(f"patch_size is {self.patch_size}; expected (1, height, width)")

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.dim // self.num_heads

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Token rows and columns of a latent frame of `height` x `width`.

        Raises ValueError when the patches do not tile the frame.
        """
        _, rows, columns = self.patch_size
        if height < rows or width < columns or height % rows or width % columns:
            raise ValueError(
                f"a latent frame of {height} x {width} (height x width) cannot be cut into "
                f"patches of {rows} x {columns}; make both a multiple of the patch"
            )
        return height // rows, width // columns

    def tokens_per_frame(self, height: int, width: int) -> int:
        """Tokens of one latent frame of `height` x `width`."""
        return math.prod(self.grid(height, width))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a JSON header."""
        return {**asdict(self), "patch_size": list(self.patch_size)}

    @classmethod
    def from_shapes(
        cls,
        shapes: Mapping[str, Sequence[int]],
        num_heads: int | None = None,
        text_len: int | None = None,
    ) -> WanConfig:
        """Read the sizes off parameter shapes under Wan's names.

        `num_heads` and `text_len` leave no trace in the shapes: unless given, heads are Wan's
        own width and prompts Wan's own length. Raises ValueError naming what was found when
        this is not a plain Wan text-to-video or image-to-video transformer.
        """
        _refuse_relatives(shapes)
        patch = _shape(shapes, "patch_embedding.weight", 5)
        text = _shape(shapes, "text_embedding.0.weight", 2)
        time = _shape(shapes, "time_embedding.0.weight", 2)
        ffn = _shape(shapes, "blocks.0.ffn.0.weight", 2)
        head = _shape(shapes, "head.head.weight", 2)
        dim, in_dim, patch_size = patch[0], patch[1], (patch[2], patch[3], patch[4])
        out_dim = head[0] // math.prod(patch_size)
        if out_dim != LATENT_CHANNELS:
            raise ValueError(
                f"this Wan model makes latents of {out_dim} channels (Wan 2.2 5B has 48); "
                f"expected a model for the {LATENT_CHANNELS}-channel Wan 2.1 VAE"
            )
        if in_dim not in (out_dim, 2 * out_dim + 4):
            raise ValueError(
                f"this Wan model takes {in_dim} input channels (a control or inpainting "
                f"variant); expected {out_dim} (text to video) or {2 * out_dim + 4} "
                "(image to video)"
            )
        if num_heads is None and dim % HEAD_DIM:
            raise ValueError(
                f"the model is {dim} wide, which is not a multiple of Wan's head width {HEAD_DIM}; "
                "pass the config with its number of heads"
            )
        image = shapes.get("img_emb.proj.1.weight")
        return cls(
            dim=dim,
            ffn_dim=ffn[0],
            num_heads=num_heads or dim // HEAD_DIM,
            num_layers=_count_blocks(shapes),
            freq_dim=time[1],
            text_dim=text[1],
            text_len=text_len or cls.text_len,
            in_dim=in_dim,
            out_dim=out_dim,
            patch_size=patch_size,
            qk_norm="blocks.0.self_attn.norm_q.weight" in shapes,
            cross_attn_norm="blocks.0.norm3.weight" in shapes,
            model_type="i2v" if "blocks.0.cross_attn.k_img.weight" in shapes else "t2v",
            image_dim=image[1] if image is not None else cls.image_dim,
        )


def _shape(shapes: Mapping[str, Sequence[int]], name: str, axes: int) -> tuple[int, ...]:
    if name not in shapes:
        some = ", ".join(sorted(shapes)[:3]) or "nothing"
        raise ValueError(f"not a Wan model: it has no {name} (found {some}, ...)")
    shape = tuple(int(size) for size in shapes[name])
    if len(shape) != axes:
        raise ValueError(f"not a Wan 2.1 model: {name} has shape {shape}, expected {axes} axes")
    if 0 in shape:
        raise ValueError(f"not a Wan model: {name} has shape {shape}, which is empty")
    return shape


def _count_blocks(shapes: Mapping[str, Sequence[int]]) -> int:
    matches = (re.match(r"blocks\.(\d+)\.", name) for name in shapes)
    found = {int(match.group(1)) for match in matches if match}
    if found != set(range(len(found))):
        missing = next(number for number in range(len(found)) if number not in found)
        raise ValueError(f"the model is incomplete: blocks.{missing} is missing")
    return len(found)


def _refuse_relatives(shapes: Mapping[str, Sequence[int]]) -> None:
    """Raise ValueError when a parameter belongs to a variant of Wan that computes otherwise."""
    for name in shapes:
        parts = name.split(".")
        in_block = parts[0] != "blocks" or len(parts) < 3 or parts[2] in _IN_BLOCK
        if parts[0] in _TOP_LEVEL and in_block and name not in _RELATIVES:
            continue
        known = (text for key, text in _RELATIVES.items() if key in name)
        kind = next(known, "not a plain Wan model")
        raise ValueError(
            f"found {name}: this is {kind}; "
            "expected a plain Wan 2.1 text-to-video or image-to-video model"
        )
