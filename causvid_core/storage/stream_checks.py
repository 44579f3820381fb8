"""What the header of a stream file must say before any of its tensors is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..model.config import LATENT_CHANNELS
from ..stream import bounds
from ..stream.recipe import Recipe
from ..stream.segment import CARRY, checked_switch
from ..stream.window import WindowPolicy
from .safetensors_file import Entry

PLAIN = ("height", "width", "batch", "seed", "model")
"""Fields of a state that a header holds as they are."""

_LONGEST_TEXT = 2000
_FLOATS = {"float64", "float32", "float16", "bfloat16"}
_WHOLE = {"int64", "int32", "int16", "int8", "uint8"}
TABLES = {
    "id_bytes": "int32",
    "block_contexts": "int32",
    "block_switches": "uint8",
    "context_tokens": "int32",
}
"""Tables of a file since version 4, besides the bytes of the ids: names and dtypes."""

Declared = dict[str, tuple[str, tuple[int, ...]]]


def check_header(header: Mapping[str, Any], entries: Mapping[str, Entry], version: int) -> None:
    """Raise unless a parsed header describes a stream, and exactly with the tensors `entries`.

    version: of the file's format.
    What it raises (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) depends
    on how the header is wrong; ValueErrors say it in words.
    """
    declared = {
        name: (str(kind), tuple(shape)) for name, (kind, shape) in header["tensors"].items()
    }
    found = {name: (dtype_name(entry.dtype), entry.shape) for name, entry in entries.items()}
    if declared != found:
        names = sorted(n for n in {*declared, *found} if declared.get(n) != found.get(n))
        raise ValueError(f"it does not fit the tensor {names[0][:80]!r}")
    policy = WindowPolicy.of(_recipe(header["recipe"]))
    for name in ("batch", "height", "width"):
        _count(name, header[name], 1)
    if type(header["seed"]) is not int:
        raise ValueError("its seed is not a whole number")
    bounds.seed(header["seed"])
    short_text("model", header["model"])
    checked_switch(header.get("switch", CARRY))
    if version < 4:
        blocks, used = len(header["blocks"]), _listed_blocks(header, declared, policy)
    else:
        _count("blocks", header["blocks"], 0)
        blocks, used = header["blocks"], _chunks(header, declared, policy)
    used |= _snapshot(header, declared, blocks) | _decoder(header, declared, blocks)
    if used != set(declared):
        raise ValueError(f"it holds {min(used ^ set(declared))[:80]!r}, which nothing uses")
    checksums = header["checksums"]
    if set(checksums) != used or any(type(value) is not int for value in checksums.values()):
        raise ValueError("it does not have one checksum for every tensor")


def latents_of(
    policy: WindowPolicy, block: int, batch: int, height: int, width: int
) -> tuple[str, tuple[int, ...]]:
    """Dtype and shape of the latents of a block."""
    return "float32", (batch, LATENT_CHANNELS, policy.span(block).frames, height, width)


def is_context(dtype: str, shape: Sequence[int], batch: int) -> bool:
    """Whether such a tensor is the context of a prompt, which may have no tokens."""
    return dtype in _FLOATS and len(shape) == 3 and shape[0] == batch and shape[2] > 0


def _recipe(values: Mapping[str, Any]) -> Recipe:
    """The recipe, if each value is of the kind that the field has; a value left out is its own."""
    recipe = Recipe.from_dict(values)
    made = recipe.to_dict()
    if any(made[name] != value for name, value in values.items()):
        raise ValueError("its recipe has values of other kinds than a recipe has")
    return recipe


def _listed_blocks(header: Mapping[str, Any], declared: Declared, policy: WindowPolicy) -> set[str]:
    """Names of the tensors that the blocks use, which files before version 4 list one by one.

    Those may have latents and prompts of other dtypes than a stream has; reading converts them.
    """
    size = (header["batch"], header["height"], header["width"])
    names: set[str] = set()
    keys = set()
    widths = set()
    for index, block in enumerate(header["blocks"]):
        latents, context = f"latents.{index}", block["context"]
        short_text("block key", block["key"])
        checked_switch(block.get("switch", CARRY))
        keys.add(block["key"])
        wanted = latents_of(policy, index, *size)
        if declared[latents][0] not in _FLOATS or declared[latents][1] != wanted[1]:
            raise ValueError(f"{latents} is {declared[latents]}, expected {wanted}")
        kind, shape = declared[context]
        kind = "float32" if kind in _WHOLE else kind
        if not is_context(kind, shape, size[0]) or not context.startswith("context."):
            raise ValueError(f"block {index} is made of {context[:80]!r}, which is not a prompt")
        widths.add(shape[2])
        names |= {latents, context}
    if len(keys) != len(header["blocks"]):
        raise ValueError("it has a block twice")
    _same_width(widths)
    return names


def _chunks(header: Mapping[str, Any], declared: Declared, policy: WindowPolicy) -> set[str]:
    """Names of the tensors that the blocks use, which lie in tables and chunks."""
    blocks, size = header["blocks"], (header["batch"], header["height"], header["width"])
    chunks = header["contexts"]
    if not isinstance(chunks, list) or (blocks == 0) != (chunks == []):
        raise ValueError("it does not say where its prompts are")
    if not blocks:
        return set()
    widths = set()
    names = {"ids", *TABLES}
    for number, count in enumerate(chunks):
        _count("number of prompts in a chunk", count, 1, blocks)
        kind, shape = declared[name := f"context.{number}"]
        if not is_context(kind, shape, size[0]):
            raise ValueError(f"{name} is {declared[name]}, which is not a prompt")
        widths.add(shape[2])
        names.add(name)
    _same_width(widths)
    for name, dtype in TABLES.items():
        rows = sum(chunks) if name == "context_tokens" else blocks
        if declared[name] != (dtype, (rows,)):
            raise ValueError(f"{name} is {declared[name]}, expected {rows} of {dtype}")
    kind, shape = declared["ids"]
    if kind != "uint8" or len(shape) != 1:
        raise ValueError(f"ids is {declared['ids']}, expected bytes")
    first = number = 0
    while first < blocks:
        kind, shape = declared[name := f"latents.{number}"]
        wanted = latents_of(policy, first, *size)
        count = shape[0] if shape else 0
        fits = (kind, shape[1:]) == wanted and 1 <= count <= blocks - first
        if not fits or policy.span(first + count - 1).frames != policy.span(first).frames:
            raise ValueError(f"{name} is {declared[name]}, expected blocks of {wanted}")
        names.add(name)
        first, number = first + count, number + 1
    return names


def _same_width(widths: set[int]) -> None:
    if len(widths) > 1:
        raise ValueError(f"its prompts are of different widths, {min(widths)} and {max(widths)}")


def _snapshot(header: Mapping[str, Any], declared: Declared, blocks: int) -> set[str]:
    """Names of the tensors of keys and values."""
    snapshot = header["snapshot"]
    if snapshot is None:
        return set()
    _count("blocks with keys and values", snapshot["blocks"], 1, blocks)
    _count("layers", snapshot["layers"], 1, len(declared))
    short_text("signature", snapshot["signature"])
    layers = range(snapshot["layers"])
    names = [f"{kind}.{layer}" for kind in ("keys", "values") for layer in layers]
    kind, shape = declared[names[0]]
    if len(shape) != 4 or shape[0] != header["batch"] or min(shape) < 1:
        raise ValueError(f"its keys have shape {shape}")
    wanted = dict.fromkeys(names, (kind, shape))
    scales = snapshot.get("scales", 0)
    if scales not in (0, len(names)) or (scales > 0) != (kind == "int8"):
        raise ValueError(f"its {kind} keys and values have {scales!r:.80} scales")
    wanted |= {f"scales.{n}": ("float32", (*shape[:3], 1)) for n in range(scales)}
    for name, description in wanted.items():
        if declared[name] != description:
            raise ValueError(f"{name} is {declared[name]}, expected {description}")
    return set(wanted)


def _decoder(header: Mapping[str, Any], declared: Declared, blocks: int) -> set[str]:
    """Names of the tensors that the decoder kept; before version 3, their number alone."""
    decoder = header["decoder"]
    if decoder is None:
        return set()
    tensors = decoder
    if isinstance(decoder, Mapping):
        short_text("decoder's name", decoder["name"])
        _count("blocks that are decoded", decoder["blocks"], 1, blocks)
        tensors = decoder["tensors"]
    _count("decoder", tensors, 0, len(declared))
    names = {f"decoder.{index}" for index in range(tensors)}
    for name in names if isinstance(decoder, Mapping) else ():
        kind, shape = declared[name]
        if kind not in _FLOATS or len(shape) < 2 or shape[0] != header["batch"] or not min(shape):
            raise ValueError(f"{name} is {declared[name]}, which no decoder keeps")
    return names


def _count(name: str, value: Any, smallest: int, largest: int = bounds.LARGEST) -> None:
    if type(value) is not int or not smallest <= value <= largest:
        raise ValueError(f"its {name} is {value!r:.80}, expected {smallest} to {largest}")


def short_text(name: str, value: Any) -> None:
    """Raise ValueError unless a value of a header is a text of at most 2,000 characters."""
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise ValueError(f"its {name} is not a short text")


def dtype_name(dtype: torch.dtype) -> str:
    """As a header writes it, such as "float32"."""
    return str(dtype).removeprefix("torch.")
