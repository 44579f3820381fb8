"""Recipes of the published checkpoints, by name."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from .recipe import Recipe


class Preset(NamedTuple):
    """A recipe with what a list of choices shows: a line of text and the size in px."""

    recipe: Recipe
    description: str
    width: int = 832
    height: int = 480


_FOUR_STEPS = (1000, 750, 500, 250)
_SELF_FORCING = Recipe(timesteps=_FOUR_STEPS, warp=True, shift=5.0)
_FRAMEWISE = replace(_SELF_FORCING, frames_per_block=1)
_MINI = Recipe(timesteps=(1000, 900, 650, 350), shift=5.0, window=9, positions="relative")

presets: MappingProxyType[str, Preset] = MappingProxyType(
    {
        "causvid": Preset(
            Recipe(timesteps=(1000, 757, 522), shift=8.0),
            "CausVid 1.3B, the published 3-step checkpoint; up to 5 seconds",
        ),
        "causvid-4step": Preset(
            Recipe(timesteps=_FOUR_STEPS, warp=True, shift=8.0),
            "CausVid 1.3B, the 4-step checkpoint (warp_4step_cfg2)",
        ),
        "self-forcing": Preset(_SELF_FORCING, "Self-Forcing 1.3B; up to 5 seconds"),
        "causal-forcing": Preset(_SELF_FORCING, "Causal Forcing 1.3B in blocks of 3 latent frames"),
        "causal-forcing-framewise": Preset(
            _FRAMEWISE, "Causal Forcing 1.3B, one latent frame at a time; also from an image"
        ),
        "causal-forcing++-2step": Preset(
            replace(_FRAMEWISE, timesteps=(1000, 500), first_block_timesteps=_FOUR_STEPS),
            "Causal Forcing++ framewise: 4 steps for the first latent frame, then 2",
        ),
        "causal-forcing++-1step": Preset(
            replace(_FRAMEWISE, timesteps=(1000,), first_block_timesteps=_FOUR_STEPS),
            "Causal Forcing++ framewise: 4 steps for the first latent frame, then 1",
        ),
        "longlive": Preset(
            replace(_SELF_FORCING, window=12, sink=3, positions="relative"),
            "LongLive 1.3B: minutes of video, 3 sink frames",
        ),
        "reward-forcing": Preset(
            replace(_SELF_FORCING, window=9, sink=3, positions="relative"),
            "Reward Forcing 1.3B: long video, 3 sink frames",
        ),
        "krea-realtime": Preset(
            Recipe(timesteps=(1000, 937, 833, 625), shift=5.0, window=6, positions="relative"),
            "Krea Realtime 14B: a short window, made for live use",
        ),
        "causvid-mini": Preset(
            _MINI, "CausVid Mini, the model inside this pack; runs on any computer", 64, 64
        ),
        "causvid-mini-endless": Preset(
            replace(_MINI, sink=3),
            "CausVid Mini for long streams: the first frames stay in the window and hold the look",
            64,
            64,
        ),
    }
)

recipes: MappingProxyType[str, Recipe] = MappingProxyType(
    {name: preset.recipe for name, preset in presets.items()}
)
