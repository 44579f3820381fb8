"""How the blocks of a stream lie in the tensors of its file, since version 4.

Tables of one row a block or prompt, and chunks: latents of many blocks in one tensor
[blocks, B, 16, t, H, W], prompts side by side in one [B, tokens, text_dim]. Their number is
bounded, so that the header of a day of video takes no more than that of an hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..stream.segment import SWITCHES
from ..stream.state import StreamBlock, StreamState
from .lazy import LazyTensor
from .stream_checks import dtype_name, latents_of, short_text

CHUNK_BYTES = 32 * 2**20
"""Bytes of a chunk, where that does not make too many: what writing takes in memory."""
MOST_CHUNKS = 2048

Part = TypeVar("Part")


class Tables(NamedTuple):
    """Rows of the blocks: ids, prompts by number, switches; of the prompts: their tokens."""

    ids: list[str]
    contexts: list[int]
    switches: list[str]
    tokens: list[int]


def pack_blocks(state: StreamState) -> tuple[dict[str, Tensor | LazyTensor], list[int]]:
    """The tensors of a stream's blocks, and the number of prompts in each of their chunks.

    Raises ValueError for latents that are not the stream's.
    """
    history = state.history
    if not history:
        return {}, []
    policy, size = state.policy, (state.batch, state.height, state.width)
    for index, block in enumerate(history):
        found = (dtype_name(block.latents.dtype), tuple(block.latents.shape))
        if found != (wanted := latents_of(policy, index, *size)):
            raise ValueError(f"block {index} has latents {_words(*found)}, not {_words(*wanted)}")
    known = {id(block.context): block.context for block in history}
    # Neighbours of one dtype share a chunk.
    contexts = sorted(known.values(), key=lambda each: dtype_name(each.dtype))
    for context in contexts:
        if context.ndim != 3:
            raise ValueError(f"a prompt has the shape {tuple(context.shape)}")
    numbers = {id(context): number for number, context in enumerate(contexts)}
    ids = [block.id.encode("utf-8", "surrogatepass") for block in history]
    tensors: dict[str, Tensor | LazyTensor] = {
        "ids": torch.from_numpy(np.frombuffer(b"".join(ids), np.uint8).copy()),
        "id_bytes": _column(map(len, ids)),
        "block_contexts": _column(numbers[id(block.context)] for block in history),
        "block_switches": _column(SWITCHES.index(block.switch) for block in history).to(
            torch.uint8
        ),
        "context_tokens": _column(context.shape[1] for context in contexts),
    }
    for number, part in enumerate(
        _chunks(history, lambda block: block.latents.nbytes, lambda block: block.latents.shape)
    ):
        tensors[f"latents.{number}"] = _stacked(part)
    parts = list(
        _chunks(contexts, lambda each: each.nbytes, lambda each: (each.dtype, each.shape[2]))
    )
    for number, group in enumerate(parts):
        tensors[f"context.{number}"] = _side_by_side(group)
    return tensors, [len(group) for group in parts]


def read_tables(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Tables:
    """The tables of a file whose header is checked. ValueError for rows that fit no stream."""
    if not header["blocks"]:
        return Tables([], [], [], [])
    raw = tensors["ids"].numpy().tobytes()
    lengths, numbers, switches, tokens = (
        tensors[name].tolist()
        for name in ("id_bytes", "block_contexts", "block_switches", "context_tokens")
    )
    if min(lengths) < 0 or sum(lengths) != len(raw) or min(tokens) < 0:
        raise ValueError("its tables do not fit each other")
    ids = [
        raw[start:end].decode("utf-8", "surrogatepass")
        for start, end in pairwise(accumulate(lengths, initial=0))
    ]
    for name in ids:
        short_text("block key", name)
    if len(set(ids)) != len(ids):
        raise ValueError("it has a block twice")
    if set(numbers) != set(range(len(tokens))):
        raise ValueError("it has a block without a prompt, or a prompt without a block")
    if max(switches) >= len(SWITCHES):
        raise ValueError(f"it has a switch of number {max(switches)}")
    first = 0
    for number, count in enumerate(header["contexts"]):
        whole = sum(tokens[first : first + count])
        if whole != header["tensors"][f"context.{number}"][1][1]:
            raise ValueError(f"context.{number} does not hold {whole} tokens")
        first += count
    return Tables(ids, numbers, [SWITCHES[switch] for switch in switches], tokens)


def split_contexts(
    header: Mapping[str, Any], tables: Tables, tensors: Mapping[str, Tensor]
) -> list[Tensor]:
    """The prompts of a file, by number."""
    contexts: list[Tensor] = []
    for number, count in enumerate(header["contexts"]):
        tokens = tables.tokens[len(contexts) : len(contexts) + count]
        parts = torch.split(tensors[f"context.{number}"], tokens, dim=1)
        contexts += [part.clone() for part in parts]
    return contexts


def _chunks(
    parts: Sequence[Part], nbytes: Callable[[Part], int], kind: Callable[[Part], object]
) -> Iterable[Sequence[Part]]:
    """Neighbours of one kind, as many as fill a chunk."""
    limit = max(CHUNK_BYTES, -(-sum(map(nbytes, parts)) // MOST_CHUNKS))
    first, filled, current = 0, 0, None
    for index, part in enumerate(parts):
        own = kind(part)
        if index > first and (own != current or filled + nbytes(part) > limit):
            yield parts[first:index]
            first, filled = index, 0
        filled, current = filled + nbytes(part), own
    yield parts[first:]


def _stacked(blocks: Sequence[StreamBlock]) -> LazyTensor:
    shape = (len(blocks), *blocks[0].latents.shape)
    return LazyTensor(
        shape, blocks[0].latents.dtype, lambda: torch.stack([block.latents for block in blocks])
    )


def _side_by_side(contexts: Sequence[Tensor]) -> LazyTensor:
    batch, _, width = contexts[0].shape
    if any(context.shape[0] != batch for context in contexts):
        raise ValueError("its prompts are for different numbers of videos")
    tokens = sum(context.shape[1] for context in contexts)
    return LazyTensor(
        (batch, tokens, width), contexts[0].dtype, lambda: torch.cat(list(contexts), dim=1)
    )


def _column(values: Iterable[int]) -> Tensor:
    return torch.tensor(list(values), dtype=torch.int32)


def _words(dtype: str, shape: Sequence[int]) -> str:
    return f"of {dtype} {tuple(shape)}"
