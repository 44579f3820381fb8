"""The causal Wan transformer: one forward over any module tree with Wan 2.1's parameter names.

Outside of the core use the names below and the package `checkpoints`; the rest is private.

`CausalWan`, `WanConfig`: a model with fresh weights, and its sizes.
`bind`, `BoundWan`: the forward bound to a module tree, which may be a host's own model.
`forward_all`: all blocks of a clip in one pass, for training.
"""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "BoundWan": "binding",
        "CausalWan": "transformer",
        "WanConfig": "config",
        "bind": "binding",
        "forward_all": "whole_clip",
    },
)
