"""The engine: a recipe, the window's policy, the rollout of blocks, and the state of a stream.

Outside of the core use the names below and the submodule `geometry` (px frames, seconds and px to
latent frames and sizes, and back); `start`, `prime` and `rollout` are names of `causvid_core`. The
rest is private.

`Recipe`, `recipes`, `POSITIONS`, `describe_recipe`: how a checkpoint is sampled.
`Block`, `StepRecord`: what a rollout yields, and what it reports after every step.
`PromptPlan`, `SWITCHES`, `CARRY`, `starts_afresh`: prompts of blocks, and switches between them.
`StreamState`, `StreamBlock`, `DecoderMemory`: a point in a stream, as data.
`snapshot`, `snapshot_within`, `release`, `rebase`: what a model or a device does with a state.
`LiveCache`: keys and values on the device.
`WindowPolicy`: which latent frames a block sees.
`blocks_for`, `latent_frames_for`, `px_of`, `whole_px`, `switches_ahead`, `steps_ahead`, `px_ahead`,
`stream_memory_bytes`: what the next blocks come to before they are made.
`describe`, `headline`: a stream in words.
"""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Block": "rollout",
        "CARRY": "segment",
        "DecoderMemory": "state",
        "LiveCache": "cache",
        "POSITIONS": "recipe",
        "PromptPlan": "prompt_cache",
        "Recipe": "recipe",
        "SWITCHES": "segment",
        "StepRecord": "rollout",
        "StreamBlock": "state",
        "StreamState": "state",
        "WindowPolicy": "window",
        "blocks_for": "lengths",
        "describe": "description",
        "describe_recipe": "description",
        "headline": "description",
        "latent_frames_for": "lengths",
        "preset_of": "recognise",
        "px_ahead": "lengths",
        "px_of": "lengths",
        "rebase": "rebasing",
        "recipes": "presets",
        "release": "snapshots",
        "snapshot": "snapshots",
        "snapshot_within": "snapshots",
        "starts_afresh": "segment",
        "steps_ahead": "lengths",
        "stream_memory_bytes": "lengths",
        "switches_ahead": "lengths",
        "whole_px": "lengths",
    },
)
