"""Prompts of a stream: which one a block is made from, each embedded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from ..model.binding import BoundWan
from ..model.prompt import EncodedPrompt, check_context, encode_prompt, real_rows
from .finite import NotFinite, is_finite
from .segment import CARRY, checked_switch

T = TypeVar("T")

CONTEXT_DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
"""What an embedded prompt can be of."""

_KEPT = 3
"""Embedded prompts to keep: the one in use, the one before and the one of a replayed block."""


class PromptPlan(Protocol):
    """Gives every block its prompt; returning the same tensor for the same prompt saves work.

    A plan may also have `switch(block_index) -> str`: the mode (see `segment`) to apply before a
    block, whatever prompts the blocks before it had. Without it every switch is "carry".
    """

    def at(self, block_index: int) -> Tensor:
        """Context [B, l, text_dim] of a block."""


class Prompts:
    """The prompts of one rollout: a context tensor for all blocks, or a `PromptPlan`; None for
    a replay, whose blocks bring their contexts. `switch` is the mode for a context tensor that
    differs from the prompt of the block before.

    Raises ValueError when a context does not fit the model or the batch, or for an unknown mode;
    NotFinite when it holds NaN or infinity.
    """

    def __init__(
        self,
        bound: BoundWan,
        batch: int,
        context: Tensor | PromptPlan | None = None,
        switch: str = CARRY,
    ) -> None:
        self._bound, self._batch, self._given = bound, batch, context
        self._switch = checked_switch(switch)
        self._trimmed: list[tuple[Tensor, Tensor]] = []
        self._encoded: list[tuple[Tensor, EncodedPrompt]] = []
        if isinstance(context, Tensor):
            self.context(0)

    def context(self, block: int) -> Tensor:
        """Context of a block on the CPU, [B, l, text_dim] without common padding rows."""
        given = self._given
        if given is None:
            raise RuntimeError("a replay has no prompts but those of its blocks")
        given = given if isinstance(given, Tensor) else given.at(block)
        return _remembered(self._trimmed, given, lambda given: self._trim(given, block))

    def switch(self, block: int, before: Tensor | None, pending: str = CARRY) -> str:
        """Mode of the switch before a block.

        before: context of the block before it, None for the first. pending: the mode if the
        prompts ask for none.
        """
        if before is None:
            return CARRY
        mode = self._asked(block, before)
        return pending if mode == CARRY else mode

    def encode(self, context: Tensor) -> EncodedPrompt:
        """Cross-attention keys and values of a context that `context` gave."""
        return _remembered(self._encoded, context, self._encode)

    def _asked(self, block: int, before: Tensor) -> str:
        if isinstance(self._given, Tensor):
            own = self.context(block)
            same = own is before or (own.shape == before.shape and bool((own == before).all()))
            return CARRY if same else self._switch
        planned = getattr(self._given, "switch", None)
        return CARRY if planned is None else checked_switch(planned(block))

    def _trim(self, given: Tensor, block: int) -> Tensor:
        check_context(self._bound, given)
        if given.dtype not in CONTEXT_DTYPES:
            raise ValueError(
                f"the prompt's embedding is of {str(given.dtype).removeprefix('torch.')}; text "
                "encoders give float32, float16 or bfloat16"
            )
        if given.shape[0] not in (1, self._batch):
            raise ValueError(
                f"the prompt is for {given.shape[0]} videos, but the stream makes {self._batch}; "
                f"give one prompt or {self._batch}"
            )
        given = given.detach().cpu()
        if not is_finite(given):
            cause = "its prompt embedding is not finite; check the text encoder"
            raise NotFinite(block, None, cause)
        context = given.expand(self._batch, -1, -1)
        return context[:, : int(real_rows(context).max())].clone()

    def _encode(self, context: Tensor) -> EncodedPrompt:
        return encode_prompt(self._bound, context.to(self._bound.device, non_blocking=True))


def _remembered(known: list[tuple[Tensor, T]], tensor: Tensor, make: Callable[[Tensor], T]) -> T:
    """make(tensor), looked up among the latest tensors by identity."""
    for source, made in known:
        if source is tensor:
            return made
    result = make(tensor)
    known.append((tensor, result))
    del known[:-_KEPT]
    return result
