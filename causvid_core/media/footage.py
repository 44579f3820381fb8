"""Footage of any frame rate and length, taken in block by block."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor


def nearest_frames(times: Sequence[float], fps: float) -> list[int]:
    """Index of the frame nearest to every tick of a clock that beats `fps` times a second.

    times: rising, in seconds; the clock starts with the first. The last frame lasts as long as
    the one before. Empty for no frames.
    """
    if not times:
        return []
    middles = [(a + b) / 2 - times[0] for a, b in zip(times, times[1:], strict=False)]
    lasts = times[-1] - times[-2] if len(times) > 1 else 1 / fps
    end = times[-1] - times[0] + lasts / 2
    chosen: list[int] = []
    while (tick := len(chosen) / fps) < end - 1e-9:
        chosen.append(bisect_right(middles, tick + 1e-9))
    return chosen


def picked(frames: Iterable[tuple[int, Tensor]], chosen: Sequence[int]) -> Iterator[Tensor]:
    """Of (index, frame) in rising order, the frames of the rising indices `chosen`.

    A frame that is missing is replaced by the next one there is.
    """
    done = 0
    for index, frame in frames:
        while done < len(chosen) and chosen[done] <= index:
            yield frame
            done += 1
        if done == len(chosen):
            return


def px_blocks(frames: Iterable[Tensor], sizes: Iterable[int], hold: bool) -> Iterator[Tensor]:
    """Frames `[H, W, 3]`, each asked for when its turn comes, in blocks `[size, H, W, 3]`.

    What remains at the end is filled up with the last frame if `hold`, else left out; a video
    shorter than the first block is filled up in any case.
    """
    frames, first = iter(frames), True
    for size in sizes:
        block = list(islice(frames, size))
        if not block or (len(block) < size and not hold and not first):
            return
        block += block[-1:] * (size - len(block))
        yield torch.stack(block)
        first = False
