"""The engine: a recipe, the window's policy, the rollout of blocks, and the state of a stream.

Outside of the core use the names below; everything else is private.

geometry: px frames, seconds and px to latent frames and sizes, and back.
`Recipe`, `recipes`, `presets`, `POSITIONS`, `describe_recipe`, `preset_of`: how a checkpoint is sampled.
`start`, `prime`, `rollout` (from `causvid_core`), `Block`, `StepRecord`: making video.
`PromptPlan`, `SWITCHES`, `CARRY`, `starts_afresh`: the prompts of blocks and the switches between.
`StreamState`, `StreamBlock`, `DecoderMemory`: a point in a stream, as data.
`snapshot`, `snapshot_within`, `release`, `rebase`: what a model or a device does with a state.
`LiveCache`: the keys and values on the device.
`WindowPolicy`, and the lengths: `blocks_for`, `latent_frames_for`, `px_of`, `whole_px`,
`switches_ahead`, `steps_ahead`, `px_ahead`; `stream_memory_bytes`.
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
