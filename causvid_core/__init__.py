"""CausVid Stream's engine: causal Wan models, sampled and distilled block by block.

FullAttention a program needs is a name of this package; modules are imported on first use.
"""

from importlib import import_module
from typing import Any

_HOMES = {
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
    "stream_memory_bytes": "stream.memory",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
