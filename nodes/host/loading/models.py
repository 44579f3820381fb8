"""MODELs and VAEs, made by the host's own code from the pack's own files."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import comfy.sd
import comfy.utils
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..messages import message

RECIPE_OPTION = "causvid_recipe"
WEIGHT_DTYPES: dict[str, dict[str, Any]] = {
    "default": {},
    "fp8_e4m3fn": {"dtype": torch.float8_e4m3fn},
    "fp8_e4m3fn_fast": {"dtype": torch.float8_e4m3fn, "fp8_optimizations": True},
    "fp8_e5m2": {"dtype": torch.float8_e5m2},
    "fp16": {"dtype": torch.float16},
    "bf16": {"dtype": torch.bfloat16},
}


def load_model_file(path: Path, weight_dtype: str = "default") -> ModelPatcher:
    """A MODEL from a file in the host's own format."""
    return comfy.sd.load_diffusion_model(str(path), dict(WEIGHT_DTYPES[weight_dtype]))


def load_model(
    weights: dict[str, Tensor], metadata: dict[str, str], weight_dtype: str = "default"
) -> ModelPatcher:
    """A MODEL from Wan weights under Wan's names, which it takes over.

    Raises ValueError when this ComfyUI does not recognise them.
    """
    options = dict(WEIGHT_DTYPES[weight_dtype])
    model = comfy.sd.load_diffusion_model_state_dict(weights, options, metadata)
    if model is None:
        raise ValueError(message("checkpoint.not_recognised"))
    return model


def load_vae(path: Path) -> comfy.sd.VAE:
    """A VAE from a file."""
    return comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(path)))


def tag(model: ModelPatcher, recipe: str) -> ModelPatcher:
    """Note on the MODEL which preset it is sampled by; clones keep the note. Changes `model`."""
    model.model_options["transformer_options"][RECIPE_OPTION] = recipe
    return model


def set_preview_colours(
    model: ModelPatcher, factors: Sequence[Sequence[float]], bias: Sequence[float]
) -> None:
    """Colours `[C][3]` and `[3]` in -1..1 by which previews show its latents. Changes `model`."""
    latent_format = model.model.latent_format
    latent_format.latent_rgb_factors = [list(row) for row in factors]
    latent_format.latent_rgb_factors_bias = list(bias)


def recipe_name(model: ModelPatcher) -> str | None:
    """The preset noted on a MODEL, or the one of checkpoints that the host itself calls causal."""
    name = model.model_options.get("transformer_options", {}).get(RECIPE_OPTION)
    if name is None and type(model.model).__name__ == "WAN21_CausalAR":
        return "causal-forcing-framewise"
    return name


def fingerprint(model: ModelPatcher) -> str:
    """A name for the weights and patches of a MODEL that survives a restart of the host.

    A few numbers of every small, never quantised parameter, and of every patch, with its
    strength. The weights may lie anywhere, patched already or not.
    """
    digest = hashlib.sha256(f"{type(model.model).__name__} {model.model_dtype()}".encode())
    for name, (weight, *patches) in sorted(model.get_key_patches("diffusion_model.").items()):
        original = weight[0] if isinstance(weight, tuple) else weight
        if original.ndim == 1 or name.endswith("modulation"):
            digest.update(_sample(original))
        for patch in patches:
            digest.update(name.encode())
            for part in _flat(patch):
                digest.update(_sample(part) if isinstance(part, Tensor) else repr(part).encode())
    return digest.hexdigest()[:16]


def _sample(tensor: Tensor) -> bytes:
    return tensor.detach().flatten()[:8].to("cpu", torch.float32).numpy().tobytes()


def _flat(value: Any) -> Iterator[Any]:
    """Numbers, texts and tensors within a patch: nested tuples and the host's adapters."""
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _flat(part)
    elif hasattr(value, "weights"):
        yield type(value).__name__
        yield from _flat(value.weights)
    elif value is None or isinstance(value, (int, float, str, Tensor)):
        yield value
