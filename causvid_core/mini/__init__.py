"""CausVid Mini: a model of Wan's format that is small enough to live in the repository.

Others use the names below, and scripts that measure the Mini its `world`, `measure` and `evaluate`.
The rest is private: `commands`, `making` and `training` make and judge it on the command line.
"""

from .._lazy import attach

_HOMES = {
    "embedded": ("MINI",),
    "files": ("example_jobs_path", "weights_path"),
    "preview": ("LATENT_RGB_BIAS", "LATENT_RGB_FACTORS"),
    "text_encoder": ("TextEncoder",),
}

__getattr__, __dir__, __all__ = attach(
    __name__, {name: module for module, names in _HOMES.items() for name in names}
)
