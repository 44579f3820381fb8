"""Rotary positions of Wan: a token is rotated by its latent frame, its row and its column.

Tables are complex64 and computed in float64, so a position may be any integer; no table ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import repeat
from torch import Tensor

_THETA = 10000.0


class Rotary:
    """Rotation tables for one frame size; the part that rows and columns share is kept.

    `head_dim` channels are rotated in pairs: the first pairs by latent frame, the last two thirds
    (rounded down) half each by row and by column.
    """

    def __init__(self, head_dim: int, grid: tuple[int, int], device: torch.device) -> None:
        rows, columns = grid
        spatial = head_dim // 6
        self._temporal = head_dim // 2 - 2 * spatial
        self._device = device
        by_row = repeat(_rotations(range(rows), spatial), "row d -> (row column) d", column=columns)
        by_column = repeat(
            _rotations(range(columns), spatial), "column d -> (row column) d", row=rows
        )
        self._spatial = torch.cat((by_row, by_column), dim=-1).to(device)

    def table(self, positions: Sequence[int]) -> Tensor:
        """Rotations of the tokens of latent frames at `positions`: [frames * L, 1, d / 2]."""
        by_frame = _rotations(positions, self._temporal).to(self._device, non_blocking=True)
        temporal = repeat(by_frame, "frame d -> (frame token) 1 d", token=self._spatial.shape[0])
        spatial = repeat(self._spatial, "token d -> (frame token) 1 d", frame=len(positions))
        return torch.cat((temporal, spatial), dim=-1)


def rotate(x: Tensor, table: Tensor, out: Tensor | None = None) -> Tensor:
    """Rotate x [B, N, h, d] by table [N, 1, d / 2]; written to `out` (any dtype) when given.

    Computed in float32 whatever the dtype of x, and returned in that dtype.
    """
    pairs = torch.view_as_complex(_paired(x.float()))
    if out is not None and out.dtype == torch.float32:
        torch.mul(pairs, table, out=torch.view_as_complex(_paired(out)))
        return out
    rotated = torch.view_as_real(pairs * table).flatten(-2)
    return rotated.to(x.dtype) if out is None else out.copy_(rotated)


def _paired(x: Tensor) -> Tensor:
    """[..., d] -> [..., d / 2, 2], a view; called for every layer, where einops would show."""
    return x.view(*x.shape[:-1], -1, 2)


def _rotations(positions: Sequence[int], pairs: int) -> Tensor:
    """Unit complex numbers [positions, pairs] on the CPU."""
    speed = _THETA ** (-torch.arange(pairs, dtype=torch.float64) / max(pairs, 1))
    angle = torch.outer(torch.tensor(list(positions), dtype=torch.float64), speed)
    return torch.polar(torch.ones_like(angle), angle).to(torch.complex64)
