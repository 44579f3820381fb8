"""LoRA files in every common spelling, merged with their alpha."""

import json
import logging

import pytest
import torch
from safetensors.torch import save_file

import causvid_core as cv
from causvid_core.model.checkpoints import CheckpointError
from causvid_core.model.checkpoints.lora import apply_lora
from causvid_core.storage.lazy import lazily

from .checkpoint_layouts import fuse, save_pt, to_diffusers, wan

STATE = wan()
RANK = 4
LAYERS = ("blocks.0.self_attn.q", "blocks.1.cross_attn.o", "blocks.1.ffn.0", "time_projection.1")
_GENERATOR = torch.Generator().manual_seed(7)
DOWN = {m: torch.randn(RANK, STATE[f"{m}.weight"].shape[1], generator=_GENERATOR) for m in LAYERS}
UP = {m: torch.randn(STATE[f"{m}.weight"].shape[0], RANK, generator=_GENERATOR) for m in LAYERS}


def merge_lora(state: dict, lora, strength: float = 1.0, alpha: float | None = None) -> dict:
    patched = apply_lora(lazily(state), lora, strength, alpha)
    return {name: tensor.load() for name, tensor in patched.items()}


def expected(scale: float) -> dict:
    state = dict(STATE)
    for module in LAYERS:
        state[f"{module}.weight"] = STATE[f"{module}.weight"] + scale * (UP[module] @ DOWN[module])
    return state


def assert_close(found, wanted):
    found = found.state_dict() if isinstance(found, torch.nn.Module) else found
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-5, atol=1e-5)


def diffusers_module(module: str) -> str:
    (name,) = to_diffusers({f"{module}.weight": 0})
    return name.removesuffix(".weight")


def spelled(prefix, down, up, alpha=None, module_name=lambda m: m):
    lora = {}
    for module in LAYERS:
        stem = prefix + module_name(module)
        lora[f"{stem}.{down}"], lora[f"{stem}.{up}"] = DOWN[module], UP[module]
        if alpha is not None:
            lora[f"{stem}.alpha"] = torch.tensor(float(alpha))
    return lora


def flat(module):
    return module.replace(".", "_")


SPELLINGS = {
    "longlive": (spelled("base_model.model.", "lora_A.weight", "lora_B.weight"), 1.0),
    "longlive_wrapped": (
        spelled("base_model.model.model.", "lora_A.default.weight", "lora_B.default.weight"),
        1.0,
    ),
    "diffusion_model": (
        spelled("diffusion_model.", "lora_down.weight", "lora_up.weight", alpha=2),
        0.5,
    ),
    "kohya": (
        spelled("lora_unet_", "lora_down.weight", "lora_up.weight", 8, module_name=flat),
        2.0,
    ),
    "kohya_diffusers": (
        spelled(
            "lora_unet_",
            "lora_down.weight",
            "lora_up.weight",
            4,
            module_name=lambda m: flat(diffusers_module(m)),
        ),
        1.0,
    ),
    "diffusers": (
        spelled("transformer.", "lora_A.weight", "lora_B.weight", module_name=diffusers_module),
        1.0,
    ),
    "bare": (spelled("", "lora.down.weight", "lora.up.weight"), 1.0),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings(spelling, tmp_path):
    lora, scale = SPELLINGS[spelling]
    assert_close(merge_lora(STATE, lora), expected(scale))
    save_file(lora, tmp_path / "lora.safetensors")
    assert_close(cv.load_model(STATE, lora=tmp_path / "lora.safetensors"), expected(scale))


def test_longlive_container_with_256_alpha(tmp_path):
    lora = SPELLINGS["longlive"][0]
    save_pt({"generator_lora": lora, "critic_lora": {}, "step": 3000}, tmp_path / "lora.pt")
    assert_close(merge_lora(STATE, tmp_path / "lora.pt"), expected(1.0))
    config = {"adapter_config": {"r": RANK, "lora_alpha": RANK * 2}}
    save_pt({"generator_lora": lora, **config}, tmp_path / "scaled.pt")
    assert_close(merge_lora(STATE, tmp_path / "scaled.pt"), expected(2.0))


def test_peft_folder_with_its_config(tmp_path):
    save_file(SPELLINGS["longlive"][0], tmp_path / "adapter_model.safetensors")
    config = {"r": RANK, "lora_alpha": 2, "peft_type": "LORA"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    assert_close(merge_lora(STATE, tmp_path), expected(0.5))
    assert_close(merge_lora(STATE, tmp_path / "adapter_model.safetensors"), expected(0.5))
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | {"use_rslora": True}))
    assert_close(merge_lora(STATE, tmp_path), expected(1.0))
    (tmp_path / "adapter_config.json").write_text("{broken")
    with pytest.raises(CheckpointError, match="is not JSON"):
        merge_lora(STATE, tmp_path)


def test_strength_alpha_and_untouched_tensors():
    lora = SPELLINGS["longlive"][0]
    assert_close(merge_lora(STATE, lora, strength=-0.5), expected(-0.5))
    assert_close(merge_lora(STATE, lora, alpha=1.0), expected(0.25))
    zero = merge_lora(STATE, lora, strength=0.0)
    assert all(torch.equal(zero[name], tensor) for name, tensor in STATE.items())
    assert zero["head.head.weight"] is STATE["head.head.weight"]


def test_fused_lora_on_separate_projections():
    down, up = torch.randn(RANK, 128), torch.randn(3 * 128, RANK)
    lora = {
        "diffusion_model.blocks.0.self_attn.qkv.lora_A.weight": down,
        "diffusion_model.blocks.0.self_attn.qkv.lora_B.weight": up,
    }
    found = fuse(merge_lora(STATE, lora))["blocks.0.self_attn.qkv.weight"]
    base = fuse(STATE)["blocks.0.self_attn.qkv.weight"]
    torch.testing.assert_close(found, base + up @ down, rtol=1e-5, atol=1e-5)


def test_differences_of_weights_and_biases():
    change = torch.randn(128)
    lora = {
        "diffusion_model.blocks.0.self_attn.q.diff_b": change,
        "diffusion_model.blocks.0.norm3.diff": change,
    }
    merged = merge_lora(STATE, lora, strength=0.5)
    assert_close(
        merged,
        STATE
        | {
            "blocks.0.self_attn.q.bias": STATE["blocks.0.self_attn.q.bias"] + 0.5 * change,
            "blocks.0.norm3.weight": STATE["blocks.0.norm3.weight"] + 0.5 * change,
        },
    )


def test_an_eight_bit_base_keeps_the_change():
    base = {n: t.to(torch.float8_e4m3fn) if t.dim() == 2 else t for n, t in STATE.items()}
    merged = merge_lora(base, SPELLINGS["longlive"][0])
    weight = merged["blocks.0.self_attn.q.weight"]
    assert weight.dtype == torch.bfloat16
    assert merged["blocks.0.self_attn.k.weight"].dtype == torch.float8_e4m3fn


def test_layers_of_other_networks_are_logged(caplog):
    extra = {
        "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": torch.ones(2, 8),
        "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": torch.ones(8, 2),
    }
    with caplog.at_level(logging.WARNING, "causvid"):
        merged = merge_lora(STATE, SPELLINGS["kohya"][0] | extra)
    assert_close(merged, expected(2.0))
    assert "1 layers are not in this model" in caplog.text


@pytest.mark.parametrize(
    ("lora", "sentence"),
    [
        (STATE, "is not a LoRA"),
        ({"blocks.0.self_attn.q.lora_A.weight": torch.ones(2, 128)}, "one half of its LoRA"),
        ({"x.lora_A.weight": torch.ones(2, 4), "x.lora_B.weight": torch.ones(4, 2)}, "fits none"),
        (
            {
                "blocks.0.self_attn.q.lora_A.weight": torch.ones(2, 512),
                "blocks.0.self_attn.q.lora_B.weight": torch.ones(512, 2),
            },
            "made for another model.*512 x 512.*128 x 128",
        ),
        ({"blocks.0.self_attn.q.lokr_w1": torch.ones(2, 2)}, "not a plain LoRA"),
        ({"blocks.0.self_attn.q.dora_scale": torch.ones(2)}, "not a plain LoRA"),
    ],
)
def test_refusals(lora, sentence):
    with pytest.raises(CheckpointError, match=sentence):
        merge_lora(STATE, lora)
