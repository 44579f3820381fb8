"""Rotary positions of Wan: a token turns by its latent frame, its row and its column.

Tables are complex64 and computed in float64, so a position may be any integer; no table ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_THETA = 10000.0


class Rotary:
    """Rotation tables for one frame size; the part that rows and columns share is kept.

    `head_dim` channels are turned in pairs: the last two thirds of the pairs (rounded down,
    half each) by row and column, the first by latent frame.
    """

    def __init__(self, head_dim: int, grid: tuple[int, int], device: torch.device) -> None:
        rows, columns = grid
        spatial = head_dim // 6
        self._temporal = head_dim // 2 - 2 * spatial
        self._device = device
        by_row = _turns(range(rows), spatial)[:, None].expand(-1, columns, -1)
        by_column = _turns(range(columns), spatial)[None].expand(rows, -1, -1)
        self._spatial = torch.cat((by_row, by_column), dim=-1).flatten(0, 1).to(device)

    def table(self, positions: Sequence[int]) -> Tensor:
        """Rotations of the tokens of latent frames at `positions`: [frames * L, 1, d / 2]."""
        by_frame = _turns(positions, self._temporal).to(self._device, non_blocking=True)
        frames, tokens = len(positions), self._spatial.shape[0]
        table = torch.cat(
            (by_frame[:, None].expand(-1, tokens, -1), self._spatial[None].expand(frames, -1, -1)),
            dim=-1,
        )
        return table.flatten(0, 1).unsqueeze(1)


def rotate(x: Tensor, table: Tensor, out: Tensor | None = None) -> Tensor:
    """Turn x [B, N, h, d] by table [N, 1, d / 2]; written to `out` (any dtype) when given.

    Computed in float32 whatever the dtype of x, and returned in that dtype.
    """
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    if out is not None and out.dtype == torch.float32:
        torch.mul(pairs, table, out=torch.view_as_complex(out.unflatten(-1, (-1, 2))))
        return out
    turned = torch.view_as_real(pairs * table).flatten(-2)
    return turned.to(x.dtype) if out is None else out.copy_(turned)


def _turns(positions: Sequence[int], pairs: int) -> Tensor:
    """Unit complex numbers [positions, pairs] on the CPU."""
    speed = _THETA ** (-torch.arange(pairs, dtype=torch.float64) / max(pairs, 1))
    angle = torch.outer(torch.tensor(list(positions), dtype=torch.float64), speed)
    return torch.polar(torch.ones_like(angle), angle).to(torch.complex64)
