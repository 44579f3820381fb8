"""CausVid Stream's engine: causal Wan models, sampled and distilled block by block.

Everything a program needs is a name of this package; modules are imported on first use.
"""

from ._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "BoundWan": "model.binding",
        "CausalWan": "model.transformer",
        "WanConfig": "model.config",
        "bind": "model.binding",
        "forward_all": "model.whole_clip",
        "load_model": "model.checkpoints",
        "Recipe": "stream.recipe",
        "recipes": "stream.presets",
        "presets": "stream.presets",
        "StepRecord": "stream.rollout",
        "StreamState": "stream.state",
        "start": "stream.rollout",
        "prime": "stream.rollout",
        "rollout": "stream.rollout",
        "save_stream": "storage.stream_files",
        "load_stream": "storage.stream_files",
        "stream_memory_bytes": "stream.lengths",
    },
)
