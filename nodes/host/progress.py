"""Progress of a rollout in the host's interface, with the newest frame while it is made."""

import time
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import comfy.model_management
import comfy.utils
import torch
from PIL import Image
from torch import Tensor

from ...causvid_core.stream.rollout import StepRecord

PREVIEWS_PER_SECOND = 8.0
PX_PER_LATENT = 8
SMALLEST_PREVIEW_PX = 256


class RolloutProgress:
    """An `on_step` for `rollout`: counts every call of the model and shows the newest frame.

    steps_per_block: denoising steps of every block of this rollout, whose first is `first_block`.
    Clean passes count as one step more, so that the bar moves evenly; the last block has none.
    Calling it raises the host's interrupt when the artist has pressed Cancel.
    """

    def __init__(
        self, latent_format: Any, first_block: int, steps_per_block: Sequence[int]
    ) -> None:
        self._format = latent_format
        self._first_block = first_block
        self._done_before = [0, *accumulate(steps + 1 for steps in steps_per_block)]
        self._bar = comfy.utils.ProgressBar(self._done_before[-1] - 1)
        self._next_preview = 0.0

    def __call__(self, record: StepRecord) -> None:
        """`record` is only read."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        done = self._done_before[record.block - self._first_block] + record.step + 1
        total = self._bar.total
        self._bar.update_absolute(done, total, self._preview(record.x0, last=done == total))

    def _preview(self, x0: Tensor, last: bool) -> tuple[str, Image.Image, int] | None:
        now = time.monotonic()
        if now < self._next_preview and not last:
            return None
        self._next_preview = now + 1 / PREVIEWS_PER_SECOND
        factors, bias = self._format.latent_rgb_factors, self._format.latent_rgb_factors_bias
        image = latent_image(x0, factors, bias)
        return ("JPEG", image, max(image.size))


def latent_image(
    latents: Tensor, factors: Sequence[Sequence[float]], bias: Sequence[float] | None
) -> Image.Image:
    """A quick picture of the last latent frame of the first sample of `[B, C, T, H, W]`.

    factors `[C][3]` and bias `[3]` map a latent pixel to colours in -1..1.
    """
    pixels = latents[0, :, -1].permute(1, 2, 0).float().cpu()
    colours = pixels @ torch.tensor(factors)
    if bias is not None:
        colours = colours + torch.tensor(bias)
    small = Image.fromarray(((colours + 1) * 127.5).clamp(0, 255).byte().numpy())
    scale = max(PX_PER_LATENT, SMALLEST_PREVIEW_PX / max(small.size))
    return small.resize([round(side * scale) for side in small.size], Image.Resampling.BICUBIC)
