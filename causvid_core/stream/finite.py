"""Numbers that are not finite: one look at every finished block, and the cause of those found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from ..model.binding import BoundWan
from .state import StreamState


class NotFinite(RuntimeError):
    """A block holds NaN or infinity; the blocks and states before it are whole.

    block: its index in the stream. step: index of the denoising step that it began with, or None
    when it was given so. cause: what is likely to have made it, in words.
    """

    def __init__(self, block: int, step: int | None, cause: str) -> None:
        at = "" if step is None else f" at step {step + 1}"
        super().__init__(
            f"block {block + 1} of the stream became NaN or infinite{at}: {cause}. "
            + (f"The first {block} blocks are whole" if block else "No block is finished yet")
        )
        self.block, self.step, self.cause = block, step, cause


def is_finite(tensor: Tensor) -> bool:
    """Whether every number is finite: one pass without a temporary. Waits for the tensor."""
    if not tensor.numel():
        return True
    low, high = torch.aminmax(tensor.detach())
    return math.isfinite(low) and math.isfinite(high)


def trace(
    bound: BoundWan,
    state: StreamState,
    block: int,
    context: Tensor,
    latents: Iterable[Tensor],
    seen: Sequence[Tensor],
) -> NotFinite:
    """The error for a block that is not finite: looks through what it was made of.

    context: its prompt. latents: of the blocks before it. seen: what each step was given, noise
    added, and the flow it made. Waits for the device. Does not modify anything.
    """
    if not seen:
        return NotFinite(block, None, "its source video is not finite; check how it was encoded")
    bad = next((index for index, x in enumerate(seen) if not is_finite(x)), len(seen) - 1)
    step, made_by_model = divmod(bad, 2)
    if made_by_model:
        return NotFinite(block, step, next(_causes(bound, state, context, latents)))
    begun = "the source video or the noise that it began with" if not step else "its noise"
    return NotFinite(block, step, f"{begun} is not finite; check what gives it")


def _causes(
    bound: BoundWan, state: StreamState, context: Tensor, latents: Iterable[Tensor]
) -> Iterator[str]:
    """Likely causes, the surest first; always one at least."""
    if not is_finite(context):
        yield "its prompt embedding is not finite; check the text encoder"
    for name, parameter in _weights(bound.tree):
        if not is_finite(parameter):
            yield f"the model's weight {name} is not finite; load or download the checkpoint again"
    for index, made in enumerate(latents):
        if not is_finite(made):
            yield f"the latents of block {index + 1}, which it continues, are not finite"
    snapshot = state.snapshot
    if snapshot is not None:
        kept = (*(() if snapshot.scales else (*snapshot.keys, *snapshot.values)), *snapshot.scales)
        if not all(map(is_finite, kept)):
            yield (
                "the keys and values that the stream carries are not finite; continue it without "
                "them (state.light() recomputes them)"
            )
    if bound.dtype == torch.float16:
        yield "the model overflows in float16; compute in bfloat16 or float32"
    yield (
        "its inputs and the weights are finite, so the model itself overflows; check LoRA "
        "strengths, patches and the attention function"
    )


def _weights(tree: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters that can be looked at: floats of two bytes and more."""
    for name, parameter in tree.named_parameters():
        if parameter.is_floating_point() and parameter.element_size() > 1:
            yield name, parameter
