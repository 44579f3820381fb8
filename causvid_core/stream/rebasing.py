"""Continuing a stream with another model, LoRA strength or recipe."""

from __future__ import annotations

from torch import nn

from ..model.binding import BoundWan, as_bound
from .recipe import Recipe
from .segment import CARRY
from .state import StreamState
from .window import WindowPolicy


def rebase(
    state: StreamState, model: nn.Module | BoundWan, recipe: Recipe | None = None
) -> StreamState:
    """The stream, to be continued with `model` and `recipe` (None: the stream's own).

    Unless its keys and values serve them too, they are dropped and the next block begins a
    segment: the new model rebuilds the window, as a switch to "recache" does. Raises ValueError
    when the model cannot read the latents or the recipe's blocks differ.
    """
    bound, recipe = as_bound(model), recipe or state.recipe
    bound.config.grid(state.height, state.width)
    if state.history and (channels := state.history[0].latents.shape[1]) != bound.config.out_dim:
        raise ValueError(
            f"the stream's latents have {channels} channels, the model makes "
            f"{bound.config.out_dim}; choose a model of the same family"
        )
    policies = state.policy, WindowPolicy.of(recipe)
    old, new = ((policy.frames_per_block, policy.first_block_frames) for policy in policies)
    if old != new:
        raise ValueError(
            f"the stream is made of blocks of {old[0]} latent frames (the first of {old[1]}), "
            f"the recipe makes blocks of {new[0]} (the first of {new[1]}); choose a recipe "
            "with the same blocks, or start a new stream"
        )
    rebased = state._replace(recipe=recipe, model=bound.fingerprint())
    if rebased.signature(rebased.model) == state.signature(state.model) or not state.history:
        return rebased
    return rebased.uncached()._replace(switch="recache" if state.switch == CARRY else state.switch)
