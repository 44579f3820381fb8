"""A MODEL of the host, ready for the core: bound, placed and tidied up afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import comfy.model_management as management
import torch
from comfy.model_patcher import ModelPatcher

from ....causvid_core import BoundWan, bind
from ..messages import message
from ..notice import log
from .attention import HostAttention
from .models import fingerprint

GIB = 1024**3


def bind_model(model: ModelPatcher) -> BoundWan:
    """The core's forward over the MODEL's own modules; weights stay where they are.

    Raises ValueError naming what was found when it is no Wan text-to-video model.
    """
    tree = getattr(model.model, "diffusion_model", None)
    kind = type(model.model).__name__
    if tree is None:
        raise ValueError(message("model.no_tree", kind=kind))
    options = model.model_options.get("transformer_options", {})
    try:
        bound = bind(
            tree,
            attention=HostAttention(options),
            dtype=compute_dtype(model),
            device=model.load_device,
            fingerprint=fingerprint(model),
        )
    except ValueError as error:
        raise ValueError(message("model.not_wan", kind=kind, error=error)) from error
    if bound.config.model_type != "t2v" or bound.config.in_dim != bound.config.out_dim:
        raise ValueError(message("model.image_to_video"))
    _mention_ignored(model)
    return bound


def compute_dtype(model: ModelPatcher) -> torch.dtype:
    """What the host computes this MODEL in, however its weights are stored."""
    return model.model.manual_cast_dtype or model.model.get_dtype()


@contextmanager
def placed(
    model: ModelPatcher,
    needed_bytes: int,
    companions: tuple[ModelPatcher, ...] = (),
    companion_bytes: int = 0,
) -> Iterator[None]:
    """Weights on the compute device, as far as they fit next to `needed_bytes` for the stream.

    companions: further models at work meanwhile, which compute in `companion_bytes`. The host
    loads, patches and offloads as it does for its own samplers, and tidies up on every way out.
    Raises ValueError when the stream alone does not fit.
    """
    device = model.load_device
    _refuse_too_large(needed_bytes, device)
    together = [model, *model.get_nested_additional_models(), *companions]
    margin = management.minimum_inference_memory() + companion_bytes
    management.load_models_gpu(together, memory_required=needed_bytes + margin)
    model.pre_run()
    try:
        with computing_on(device):
            yield
    finally:
        model.cleanup()
        management.soft_empty_cache()


@contextmanager
def computing_on(device: torch.device) -> Iterator[None]:
    """The device is the current one, and nothing keeps gradients."""
    context = getattr(management, "cuda_device_context", lambda _: nullcontext())
    with context(device), torch.inference_mode():
        yield


def _refuse_too_large(needed_bytes: int, device: torch.device) -> None:
    total = management.get_total_memory(device)
    if needed_bytes > total:
        raise ValueError(
            message("memory.stream", needed=needed_bytes / GIB, device=device, total=total / GIB)
        )


def _mention_ignored(model: ModelPatcher) -> None:
    """Log which settings of other nodes on this MODEL do nothing here."""
    options = model.model_options
    transformer = options.get("transformer_options", {})
    found = [
        name
        for name, present in {
            "a sampling shift (the recipe's is used)": "model_sampling" in model.object_patches,
            "CFG functions": any(key.startswith("sampler_") for key in options),
            "block replacements": transformer.get("patches_replace"),
            "attention patches": transformer.get("patches"),
            "wrappers": any(by_key for by_key in model.wrappers.values()),
            "a context window": options.get("context_handler"),
        }.items()
        if present
    ]
    if found:
        log.info("CausVid: streams ignore these settings of MODEL: %s", ", ".join(found))
