"""Who sees whom when all blocks of a clip run in one pass: plain integers.

A piece is a run of queries that see the same keys. Latent frames are counted in the order in
which they go through the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple


class Piece(NamedTuple):
    """So many queries, and the keys they see: ranges that rise and do not touch."""

    queries: int
    keys: tuple[range, ...]

    def times(self, tokens: int) -> Piece:
        """The same in tokens, for so many tokens of a latent frame."""
        keys = tuple(range(run.start * tokens, run.stop * tokens) for run in self.keys)
        return Piece(self.queries * tokens, keys)


def block_causal(blocks: Sequence[int], window: int | None = None, sink: int = 0) -> list[Piece]:
    """Every block sees itself and the blocks before it (CausVid, arXiv 2412.07772, section 4.1).

    blocks: latent frames of each. window, sink: as a recipe's; what a block sees is then what the
    cache would hold for it.
    """
    return [
        Piece(frames, _visible(end, window, sink))
        for frames, end in zip(blocks, accumulate(blocks), strict=True)
    ]


def teacher_forced(blocks: Sequence[int], window: int | None = None, sink: int = 0) -> list[Piece]:
    """The clean latent frames of all blocks but the last, then the noisy ones of all blocks.

    A clean block sees the clean ones up to itself; a noisy one the clean ones before it and
    itself, which is what it sees when it is sampled after them.
    """
    clean = sum(blocks[:-1])
    pieces = block_causal(blocks[:-1], window, sink)
    for frames, end in zip(blocks, accumulate(blocks), strict=True):
        before = (
            range(run.start, min(run.stop, end - frames)) for run in _visible(end, window, sink)
        )
        own = range(clean + end - frames, clean + end)
        pieces.append(Piece(frames, _joined([*before, own])))
    return pieces


def split_blocks(frames: int, frames_per_block: int, first_block_frames: int | None) -> list[int]:
    """Latent frames of each block; the last may be smaller. Raises ValueError below one."""
    if min(frames_per_block, first_block_frames or 1) < 1:
        raise ValueError("a block needs at least one latent frame")
    sizes = [min(frames, first_block_frames or frames_per_block)]
    while (rest := frames - sum(sizes)) > 0:
        sizes.append(min(rest, frames_per_block))
    return sizes


def _visible(end: int, window: int | None, sink: int) -> tuple[range, ...]:
    left = 0 if window is None else max(0, end - window)
    return _joined([range(sink if left else 0), range(left + sink if left else 0, end)])


def _joined(runs: Sequence[range]) -> tuple[range, ...]:
    """The runs that hold something, those that touch as one."""
    joined: list[range] = []
    for run in runs:
        if joined and run and joined[-1].stop == run.start:
            joined[-1] = range(joined[-1].start, run.stop)
        elif run:
            joined.append(run)
    return tuple(joined)
