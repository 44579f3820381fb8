"""A long render writes its stream to a file now and then, and goes on from there if it is killed.

The file is named by everything that decides the result, so only the same render finds it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import folder_paths
import torch
from torch import Tensor

from ....causvid_core import BoundWan, load_stream, save_stream
from ....causvid_core.storage.disk import DiskStore
from ....causvid_core.stream import snapshot
from ....causvid_core.stream.rollout import Block
from ....causvid_core.stream.state import StreamState
from ....causvid_core.stream.window import WindowPolicy
from ..notice import show
from .rendering import Rendering

FOLDER = ("causvid", "checkpoints")  # below the output folder


class Checkpoint:
    """The file of one render; called with every block, it writes every `every`-th."""

    def __init__(self, path: Path, begun: StreamState, blocks: int, every: int) -> None:
        self._path, self._begun, self._blocks, self._every = path, begun, blocks, every
        # A cache in 8 bits cannot be had again from latents, so it has to travel.
        self._exact = begun.snapshot is not None and bool(begun.snapshot.scales)

    def resume(self, store: DiskStore | None = None) -> StreamState:
        """The stream as far as an earlier run of this render came; else as it begins.

        store: where its latents go, if not into memory.
        """
        begun = self._begun
        if not self._path.is_file():
            return begun
        try:
            found = load_stream(self._path, store)
            if not self._continues(found):
                raise ValueError(f"{self._path.name} holds another stream")
        except (ValueError, OSError) as error:
            show(f"Passing over a checkpoint that cannot be used: {error}", logging.WARNING)
            return begun
        done = found.blocks - begun.blocks
        show(f"Going on after block {done} of {self._blocks}, which an earlier run had reached")
        return found._replace(history=begun.history + found.history[begun.blocks :])

    def __call__(self, block: Block) -> None:
        """Write the stream up to this block when it is time; a full disk is only warned of."""
        done = block.index + 1 - self._begun.blocks
        if done % self._every or done >= self._blocks:
            return
        state = snapshot(block.state) if self._exact else block.state.light()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            save_stream(state, self._path)
        except OSError as error:
            show(f"The checkpoint could not be written: {error}", logging.WARNING)

    def remove(self) -> None:
        """The render is done."""
        self._path.unlink(missing_ok=True)

    def _continues(self, found: StreamState) -> bool:
        begun = self._begun
        same = all(
            getattr(found, name) == getattr(begun, name)
            for name in ("recipe", "height", "width", "batch", "seed", "model")
        )
        return same and begun.blocks < found.blocks < begun.blocks + self._blocks


def checkpoint(
    bound: BoundWan, state: StreamState, rendering: Rendering, every: int, source_id: str | None
) -> Checkpoint | None:
    """The checkpoint of a render; None when `every` is 0 or its source cannot be told apart.

    source_id: what decides an input video and its strength, where those are no plain values.
    """
    if not every:
        return None
    plain = rendering.source is None or isinstance(rendering.source, Tensor)
    if source_id is None and not (plain and not callable(rendering.strength)):
        show("No checkpoints are written: this input cannot be found again", logging.WARNING)
        return None
    digest = hashlib.sha256()
    for part in _decisive(bound, state, rendering, source_id):
        digest.update(_bytes(part))
    folder = Path(folder_paths.get_output_directory()).joinpath(*FOLDER)
    name = f"{digest.hexdigest()[:32]}.safetensors"
    return Checkpoint(folder / name, state, rendering.blocks, every)


def rest_of(rendering: Rendering, begun: StreamState, state: StreamState) -> Rendering:
    """What is left of a render once `state` is reached."""
    done = state.blocks - begun.blocks
    source: Any = rendering.source
    if isinstance(source, Tensor):
        policy = WindowPolicy.of(begun.recipe)
        source = source[:, :, policy.frames_before(state.blocks) - begun.frames :]
    elif source is not None:
        source = islice(source, done, None)
    return rendering._replace(blocks=rendering.blocks - done, source=source)


def _decisive(
    bound: BoundWan, state: StreamState, rendering: Rendering, source_id: str | None
) -> Iterator[Any]:
    """Everything that decides the result, but not the random keys of blocks."""
    yield bound.fingerprint()
    yield from state._replace(history=(), snapshot=None, decoder=None, live=None)
    for block in state.history:
        yield from block._replace(key="")
    if state.snapshot is not None and state.snapshot.scales:
        yield from (*state.snapshot.keys, *state.snapshot.values, *state.snapshot.scales)
    context, first = rendering.context, state.blocks
    if isinstance(context, Tensor):
        yield context
    else:
        switch = getattr(context, "switch", None)
        for block in range(first, first + rendering.blocks):
            yield context.at(block)
            yield switch(block) if switch else ""
    yield rendering.switch
    yield rendering.blocks
    if source_id is not None:
        yield source_id
    else:
        yield from (rendering.source, rendering.strength)


def _bytes(part: Any) -> bytes:
    if isinstance(part, Tensor):
        tensor = part.detach().cpu().contiguous()
        head = f"{tensor.dtype} {tuple(tensor.shape)}".encode()
        return head + tensor.flatten().view(torch.uint8).numpy().tobytes()
    return f"{part!r};".encode()
