"""Distilling a causal student from a bidirectional teacher: losses, rollouts with gradients, data.

Others use the names below; `data.commands` and `training.commands`, which the command line
registers; and from `training` what its own page names. The rest is private.

    network, conditioning, guidance   a transformer in training, its prompts, CFG
    ode, dmd, rollout_training        the losses and the samples that they learn from
    clip_cache, ema                   what rollouts and averages keep
    embedded                          what training has to know of the model in the pack
"""

from .._lazy import attach

_HOMES = {
    "conditioning": ("Conditioning",),
    "dmd": ("critic_loss", "generator_loss", "matching_gradient", "sample_from_data"),
    "ema": ("EMA",),
    "embedded": ("EmbeddedModel", "Encode", "Source"),
    "guidance": ("Guidance", "guided_flow"),
    "network": ("Network", "flow_matching_loss", "with_gradient_checkpointing"),
    "ode": ("ode_regression_loss", "trajectory"),
    "rollout_training": ("self_rollout",),
}

__getattr__, __dir__, __all__ = attach(
    __name__, {name: module for module, names in _HOMES.items() for name in names}
)
