"""Which latent frames a block sees, where they are kept and at which positions: plain integers.

A window keeps the first `sink` latent frames and the latest others. Slot f holds latent frame f
of the sinks; the remaining slots form a ring, so a frame's slot follows from its index alone
and nothing is ever moved. Attention does not care in which order it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .recipe import Recipe


class Span(NamedTuple):
    """Consecutive latent frames: those of a block."""

    first: int
    frames: int

    @property
    def end(self) -> int:
        """Index after the last latent frame."""
        return self.first + self.frames


class Run(NamedTuple):
    """Latent frames of a block, from `offset` on, that lie side by side from slot `slot` on."""

    slot: int
    offset: int
    frames: int


@dataclass(frozen=True)
class WindowPolicy:
    """The policy of a recipe's window. All lengths in latent frames."""

    frames_per_block: int
    first_block_frames: int
    window: int | None
    sink: int

    @classmethod
    def of(cls, recipe: Recipe) -> WindowPolicy:
        """The policy of a recipe."""
        return cls(
            frames_per_block=recipe.frames_per_block,
            first_block_frames=recipe.first_block_frames or recipe.frames_per_block,
            window=recipe.window,
            sink=recipe.sink if recipe.window is not None else 0,
        )

    def span(self, block: int) -> Span:
        """Latent frames of block `block`."""
        if block == 0:
            return Span(0, self.first_block_frames)
        first = self.first_block_frames + (block - 1) * self.frames_per_block
        return Span(first, self.frames_per_block)

    def frames_before(self, block: int) -> int:
        """Latent frames of all blocks before block `block`."""
        return self.span(block).first if block else 0

    def split(self, block: int, frames: int) -> list[int]:
        """Block sizes of `frames` latent frames that start with block `block`.

        Raises ValueError when they do not end where a block ends.
        """
        sizes: list[int] = []
        while sum(sizes) < frames:
            sizes.append(self.span(block + len(sizes)).frames)
        if sum(sizes) != frames or not sizes:
            fits = max(sum(sizes), self.span(block).frames)
            raise ValueError(
                f"{frames} latent frames do not fill whole blocks of {self.frames_per_block} "
                f"(the next block takes {self.span(block).frames}); give {fits}"
            )
        return sizes

    def blocks_for(self, block: int, frames: int) -> int:
        """Fewest blocks from block `block` on that make `frames` latent frames."""
        missing = frames - self.span(block).frames
        return 1 + max(0, -(-missing // self.frames_per_block))

    def capacity(self, frames: int) -> int:
        """Slots for a stream of `frames` latent frames: the window, or all of them."""
        return frames if self.window is None else self.window

    def runs(self, span: Span) -> tuple[Run, ...]:
        """The slots of a block, as few runs as the ring's seam allows."""
        if self.window is None:
            return (Run(span.first, 0, span.frames),)
        runs: list[Run] = []
        offset = 0
        while offset < span.frames:
            slot = self._slot(span.first + offset)
            room = (self.sink if slot < self.sink else self.window) - slot
            frames = min(room, span.frames - offset)
            if runs and runs[-1].slot + runs[-1].frames == slot:
                runs[-1] = runs[-1]._replace(frames=runs[-1].frames + frames)
            else:
                runs.append(Run(slot, offset, frames))
            offset += frames
        return tuple(runs)

    def filled(self, end: int) -> int:
        """Slots in use once latent frames up to `end` are written; always the first ones."""
        return min(end, self.capacity(end))

    def frame_in(self, slot: int, end: int) -> int:
        """Latent frame in a filled slot once latent frames up to `end` are written."""
        if self.window is None or slot < self.sink:
            return slot
        ring = self.window - self.sink
        return slot + (end - 1 - slot) // ring * ring

    def rank(self, frame: int, end: int) -> int:
        """Position of a visible latent frame counted within the window, sinks first."""
        return frame if frame < self.sink else frame - (end - self.filled(end))

    def ranks(self, end: int) -> list[int]:
        """Positions, within the window, of the latent frames in the filled slots."""
        return [self.rank(self.frame_in(slot, end), end) for slot in range(self.filled(end))]

    def visible(self, end: int) -> Sequence[int]:
        """Latent frames that a block ending at `end` sees, in order."""
        left = end - self.filled(end)
        return [*range(self.sink if left else 0), *range(left + self.sink if left else 0, end)]

    def can_rewind(self, written: int, block: int) -> bool:
        """Whether a ring that was written up to latent frame `written` still holds all that block
        `block` sees.
        """
        if self.window is None:
            return True
        span, ring = self.span(block), self.window - self.sink
        oldest = max(self.sink, span.end - ring)
        return written - ring <= oldest or span.first <= oldest

    def replay(self, blocks: int, layers: int) -> list[int]:
        """Blocks to recompute, in order, so that block `blocks` finds an exact window.

        A layer's keys depend on one window of the layer below, so exactness reaches back one
        window a layer. Blocks before that are left out, except those that hold the sinks, which
        depend on nothing older.
        """
        first = max(blocks - 1, 0)
        for _ in range(layers):
            first = self._oldest_visible(first)
        return [*self.sinks(first), *range(first, blocks)]

    def seen(self, block: int) -> list[int]:
        """Earlier blocks that block `block` sees a latent frame of, in order."""
        oldest = self._oldest_visible(block)
        return [*self.sinks(oldest), *range(oldest, block)]

    def sinks(self, block: int) -> range:
        """Blocks before block `block` that hold sink frames."""
        count = 0
        while count < block and self.frames_before(count) < self.sink:
            count += 1
        return range(count)

    def _oldest_visible(self, block: int) -> int:
        """First block, sinks aside, that block `block` sees a latent frame of."""
        end = self.span(block).end
        if self.window is None or end <= self.window:
            return 0
        frame = end - (self.window - self.sink)
        return max(0, 1 + (frame - self.first_block_frames) // self.frames_per_block)

    def _slot(self, frame: int) -> int:
        if self.window is None or frame < self.sink:
            return frame
        return self.sink + (frame - self.sink) % (self.window - self.sink)
