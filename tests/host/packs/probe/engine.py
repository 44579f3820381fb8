"""The engine: facts about results, forwards against the host's, and odd inputs."""

import gc
import hashlib
import json
from types import SimpleNamespace
from typing import Any

import comfy.model_management
import torch
from comfy.model_patcher import ModelPatcher

from .base import Node, OutputNode, pack_module, shown


class Look(OutputNode):
    """Facts about a result, as JSON in the history."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"latent": ("LATENT",)}, "optional": {"stream": ("CAUSVID_STREAM",)}}

    def run(self, latent: dict[str, Any], stream: Any = None) -> dict[str, Any]:
        samples = latent["samples"].float().cpu().contiguous()
        facts = {
            "shape": list(samples.shape),
            "digest": hashlib.sha256(samples.numpy().tobytes()).hexdigest(),
            "finite": bool(samples.isfinite().all()),
            "values": samples.flatten().tolist(),
        }
        if stream is not None:
            tensors = [block.latents for block in stream.history]
            tensors += [*stream.snapshot.keys] if stream.snapshot else []
            facts |= {
                "seed": stream.seed,
                "model": stream.model,
                "blocks": stream.blocks,
                "ring": stream.live.ring is not None,
                "devices": sorted({tensor.device.type for tensor in tensors}),
            }
        return shown(facts)


class CompareForwards(OutputNode):
    """The largest difference between the host's forward and the pack's on the same MODEL."""

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"model": ("MODEL",), "positive": ("CONDITIONING",)}}

    def run(self, model: ModelPatcher, positive: list) -> dict[str, Any]:
        sampling, core = pack_module("nodes.host.loading.sampling"), pack_module("causvid_core")
        dtype = sampling.compute_dtype(model)
        generator = torch.Generator().manual_seed(0)
        noisy = torch.randn(1, 16, 3, 8, 12, generator=generator).to(model.load_device, dtype)
        time = torch.full((1,), 700.0, device=model.load_device)
        context = positive[0][0].to(model.load_device, dtype)
        with sampling.placed(model, 0):
            theirs = model.model.diffusion_model(noisy, time, context, transformer_options={})
            bound = sampling.bind_model(model)
            ours = core.forward_all(bound, noisy, time[:, None], context, causal=False)
        facts = {
            "difference": (ours.float() - theirs.float()).abs().max().item(),
            "size": theirs.float().abs().max().item(),
        }
        return shown(facts)


class MakeConditioning(Node):
    """A CONDITIONING of any shape, with any options."""

    RETURN_TYPES = ("CONDITIONING",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "batch": ("INT", {"default": 1}),
                "width": ("INT", {"default": 4096, "max": 99999}),
                "options": ("STRING", {"default": "{}"}),
            }
        }

    def run(self, batch: int, width: int, options: str) -> tuple[list]:
        generator = torch.Generator().manual_seed(1)
        embedding = torch.randn(batch, 6, width, generator=generator)
        return ([[embedding, json.loads(options)]],)


class CountTensors(OutputNode):
    """Bytes of all tensors that are alive in the server, on any device; never cached."""

    @classmethod
    def IS_CHANGED(cls) -> float:
        return float("nan")

    def run(self) -> dict[str, Any]:
        gc.collect()
        alive = [found for found in gc.get_objects() if issubclass(type(found), torch.Tensor)]
        storages = [t.untyped_storage() for t in alive if t.device.type != "meta"]
        sizes = {storage.data_ptr(): storage.nbytes() for storage in storages}
        return shown({"bytes": sum(sizes.values())})


class SilenceAttention(Node):
    """A MODEL whose attention is overridden, as other packs do it: here to give zeros."""

    RETURN_TYPES = ("MODEL",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"model": ("MODEL",)}}

    def run(self, model: ModelPatcher) -> tuple[ModelPatcher]:
        def override(attention: Any, q: torch.Tensor, *others: Any, **options: Any) -> Any:
            return torch.zeros_like(attention(q, *others, **options))

        silent = model.clone()
        silent.model_options["transformer_options"]["optimized_attention_override"] = override
        return (silent,)


class OtherModel(Node):
    """A MODEL that is no Wan model."""

    RETURN_TYPES = ("MODEL",)

    def run(self) -> tuple[ModelPatcher]:
        class Painter(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.diffusion_model = torch.nn.Sequential(torch.nn.Linear(4, 4))
                self.manual_cast_dtype = torch.float32
                self.model_config = SimpleNamespace()

        device = comfy.model_management.get_torch_device()
        return (ModelPatcher(Painter(), device, torch.device("cpu")),)


NODES = {
    "Probe_Look": Look,
    "Probe_CompareForwards": CompareForwards,
    "Probe_MakeConditioning": MakeConditioning,
    "Probe_CountTensors": CountTensors,
    "Probe_OtherModel": OtherModel,
    "Probe_SilenceAttention": SilenceAttention,
}
