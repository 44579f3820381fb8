"""A long render saves its stream to a file now and then, and resumes from it if it was killed.

The file's name is a digest of everything that decides the result, so only the same render finds
it.
"""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import folder_paths
import torch
from torch import Tensor

from ....causvid_core import load_stream, save_stream
from ....causvid_core.storage import DiskStore
from ....causvid_core.stream import Block, StreamState, snapshot
from ..messages import message
from ..notice import show
from .request import StreamRequest

FOLDER = ("causvid", "checkpoints")  # below the output folder


class Autosave:
    """The file of one render; called with every block, it writes every `every`-th."""

    def __init__(self, path: Path, begun: StreamState, blocks: int, every: int) -> None:
        self._path, self._begun, self._blocks, self._every = path, begun, blocks, every
        # A cache in 8 bits cannot be recomputed from latents, so it has to be saved.
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
                raise ValueError(message("autosave.other_stream", name=self._path.name))
        except (ValueError, OSError) as error:
            show(message("autosave.unusable", error=error), logging.WARNING)
            return begun
        done = found.blocks - begun.blocks
        show(message("autosave.resuming", done=done, blocks=self._blocks))
        return found._replace(history=begun.history + found.history[begun.blocks :])

    def __call__(self, block: Block) -> None:
        """Save the stream up to this block when it is time; a full disk only brings a warning."""
        done = block.index + 1 - self._begun.blocks
        if done % self._every or done >= self._blocks:
            return
        state = snapshot(block.state) if self._exact else block.state.light()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            save_stream(state, self._path)
        except OSError as error:
            show(message("autosave.not_written", error=error), logging.WARNING)

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


def autosave(request: StreamRequest, blocks: int) -> Autosave | None:
    """The file of a request that makes `blocks` blocks.

    None when nothing is to be saved, or when another run could not recognise the source.
    """
    every = request.checkpoint_blocks
    if not every:
        return None
    plain = request.source is None or isinstance(request.source, Tensor)
    if request.source_id is None and not (plain and not callable(request.strength)):
        show(message("autosave.source_unknown"), logging.WARNING)
        return None
    digest = hashlib.sha256()
    for part in _decisive(request, blocks):
        digest.update(_bytes(part))
    folder = Path(folder_paths.get_output_directory()).joinpath(*FOLDER)
    name = f"{digest.hexdigest()[:32]}.safetensors"
    return Autosave(folder / name, request.state, blocks, every)


def _decisive(request: StreamRequest, blocks: int) -> Iterator[Any]:
    """Everything that decides the result, but not the random ids of blocks."""
    state, context = request.state, request.context
    yield request.bound.fingerprint()
    yield from state._replace(history=(), snapshot=None, decoder=None, live=None)
    for block in state.history:
        yield from block._replace(id="")
    if state.snapshot is not None and state.snapshot.scales:
        yield from (*state.snapshot.keys, *state.snapshot.values, *state.snapshot.scales)
    if isinstance(context, Tensor):
        yield context
    else:
        switch = getattr(context, "switch", None)
        for block in range(state.blocks, state.blocks + blocks):
            yield context.at(block)
            yield switch(block) if switch else ""
    yield request.switch
    yield blocks
    if request.source_id is not None:
        yield request.source_id
    else:
        yield from (request.source, request.strength)


def _bytes(part: Any) -> bytes:
    if isinstance(part, Tensor):
        tensor = part.detach().cpu().contiguous()
        head = f"{tensor.dtype} {tuple(tensor.shape)}".encode()
        return head + tensor.flatten().view(torch.uint8).numpy().tobytes()
    return f"{part!r};".encode()
