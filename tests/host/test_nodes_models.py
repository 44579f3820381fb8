"""MODELs from the host's own loaders, and checkpoints through ours."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hosting.host import Host
from safetensors.torch import load_file, save_file

import causvid_core as cv
from causvid_core.mini import weights_path

from .prompts import DIT, facts, lora_node, mini_prompt, node, recipe_node

SEED = 5


def with_model(loader: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The Mini's prompt with its MODEL from another loader."""
    prompt = mini_prompt(model=["loader", 0], recipe=["recipe", 0], seed=SEED, **changes)
    return prompt | {"loader": loader, "recipe": recipe_node()}


def unet(weight_dtype: str = "default") -> dict[str, Any]:
    return node("UNETLoader", unet_name=DIT, weight_dtype=weight_dtype)


def likeness(a: dict[str, Any], b: dict[str, Any]) -> float:
    """Correlation of two latents."""
    pair = torch.tensor([a["values"], b["values"]])
    return torch.corrcoef(pair)[0, 1].item()


def test_the_hosts_loader_gives_the_same_video_as_ours(models: Path, look: Any) -> None:
    assert look(with_model(unet()))["digest"] == look(mini_prompt(seed=SEED))["digest"]


def test_fp8_storage_gives_nearly_the_same_video(models: Path, look: Any) -> None:
    full, small = look(with_model(unet())), look(with_model(unet("fp8_e4m3fn")))
    assert small["finite"] and small["digest"] != full["digest"]
    assert small["model"] != full["model"]
    assert likeness(full, small) > 0.8


@pytest.mark.parametrize("weight_dtype", ["default", "fp8_e4m3fn"])
def test_a_lora_changes_the_video_and_strength_0_does_not(
    models: Path, look: Any, weight_dtype: str
) -> None:
    plain = look(with_model(unet(weight_dtype)))
    seen = {}
    for strength in (0.0, 1.0):
        prompt = with_model(lora_node(strength, "unet"))
        seen[strength] = look(prompt | {"unet": unet(weight_dtype)})
    assert seen[0.0]["digest"] == plain["digest"] and seen[0.0]["model"] == plain["model"]
    assert seen[1.0]["finite"] and likeness(plain, seen[1.0]) < 0.9999
    assert seen[1.0]["model"] != plain["model"]
    assert look(with_model(unet(weight_dtype)))["digest"] == plain["digest"]


def test_an_attention_override_is_honoured(look: Any) -> None:
    prompt = mini_prompt(model=["silent", 0], seed=SEED)
    prompt["silent"] = node("Probe_SilenceAttention", model=["mini", 0])
    assert look(prompt)["digest"] != look(mini_prompt(seed=SEED))["digest"]


@pytest.mark.parametrize("weight_dtype", ["bf16", "fp16", "fp8_e5m2"])
def test_our_loader_stores_weights_as_asked(
    models: Path, look: Any, host: Host, weight_dtype: str
) -> None:
    (models / "causvid").mkdir(exist_ok=True)
    shutil.copy(weights_path("dit"), models / "causvid" / "mini_stored.safetensors")
    host.client.object_info()  # lists the folder again
    prompt = mini_prompt(model=["loader", 0], seed=SEED)
    prompt["loader"] = checkpoint("mini_stored.safetensors", weight_dtype)
    seen = look(prompt)
    assert seen["finite"] and likeness(seen, look(mini_prompt(seed=SEED))) > 0.8


@pytest.mark.parametrize("weight_dtype", ["default", "fp8_e4m3fn", "fp8_e5m2"])
@pytest.mark.parametrize("lora", [False, True], ids=["plain", "lora"])
def test_our_forward_equals_the_hosts(
    host: Host, models: Path, weight_dtype: str, lora: bool
) -> None:
    prompt = {
        "unet": unet(weight_dtype),
        "mini": node("CausVid_LoadMini"),
        "text": node("CLIPTextEncode", clip=["mini", 1], text="a small green star turning"),
        "look": node("Probe_CompareForwards", model=["unet", 0], positive=["text", 0]),
    }
    if lora:
        prompt["lora"] = lora_node(0.7, "unet")
        prompt["look"]["inputs"]["model"] = ["lora", 0]
    seen = facts(host.run(prompt))
    assert seen["size"] > 0.1
    assert seen["difference"] < 1e-4 * max(1.0, seen["size"])


@pytest.mark.parametrize("kind", ["generator_ema", "bare", "safetensors"])
def test_our_loader_reads_published_layouts(host: Host, models: Path, look: Any, kind: str) -> None:
    weights = load_file(weights_path("dit"))
    folder = models / "causvid"
    folder.mkdir(exist_ok=True)
    path = folder / f"mini_{kind}.pt"
    if kind == "generator_ema":
        noise = {f"model.{k}": torch.zeros_like(v) for k, v in weights.items()}
        ema = {f"model.{k}": v for k, v in weights.items()}
        torch.save({"generator": noise, "generator_ema": ema, "critic": {}}, path)
    elif kind == "bare":
        torch.save(weights, path)
    else:
        path = path.with_suffix(".safetensors")
        save_file({f"model.diffusion_model.{k}": v for k, v in weights.items()}, path)
    listed = host.client.get("/object_info/CausVid_LoadCheckpoint")["CausVid_LoadCheckpoint"]
    assert path.name in options(listed["input"]["required"]["checkpoint"])
    prompt = mini_prompt(model=["loader", 0], seed=SEED)
    prompt["loader"] = checkpoint(path.name)
    assert look(prompt)["digest"] == look(mini_prompt(seed=SEED))["digest"]


def test_a_replaced_checkpoint_is_loaded_again(host: Host, models: Path) -> None:
    (models / "causvid").mkdir(exist_ok=True)
    path = models / "causvid" / "mini_replaced.safetensors"
    shutil.copy(weights_path("dit"), path)
    prompt = mini_prompt(model=["loader", 0])
    prompt["loader"] = checkpoint(path.name)
    host.client.object_info()  # lists the folder again
    first = facts(host.run(prompt))
    assert "loader" in host.run(prompt).cached
    weights = load_file(weights_path("dit"))
    save_file({name: weight * 0.9 for name, weight in weights.items()}, path)
    run = host.run(prompt)
    assert "loader" in run.executed and facts(run)["digest"] != first["digest"]


def test_the_recipe_is_recognised_by_the_files_name(host: Host, models: Path) -> None:
    (models / "causvid").mkdir(exist_ok=True)
    name = "causal_forcing-framewise.safetensors"
    shutil.copy(weights_path("dit"), models / "causvid" / name)
    host.client.object_info()
    prompt = mini_prompt(model=["loader", 0], px_frames=5)
    prompt["loader"] = checkpoint(name)
    run = host.run(prompt)
    assert facts(run)["blocks"] == 2
    assert "sampled by causal-forcing-framewise" in run.notices[0].text


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("vae", "is a Wan VAE"), ("cut", "truncated"), ("text", "not a Wan model")],
)
def test_what_is_no_checkpoint_is_refused_by_name(
    host: Host, models: Path, refusal: Any, name: str, sentence: str
) -> None:
    (models / "causvid").mkdir(exist_ok=True)
    path = models / "causvid" / f"not_a_model_{name}.safetensors"
    if name == "cut":
        path.write_bytes(weights_path("dit").read_bytes()[:-1000])
    else:
        shutil.copy(weights_path(name), path)
    host.client.object_info()
    prompt = mini_prompt(model=["loader", 0])
    prompt["loader"] = checkpoint(path.name)
    assert sentence in refusal(prompt, "loader")


def test_image_to_video_models_are_refused(host: Host, models: Path, refusal: Any) -> None:
    config = cv.WanConfig(
        dim=128, ffn_dim=64, num_heads=1, num_layers=1, in_dim=36, model_type="i2v"
    )
    path = models / "diffusion_models" / "i2v.safetensors"
    save_file(cv.CausalWan(config).state_dict(), path)
    host.client.object_info()
    prompt = mini_prompt(model=["loader", 0])
    prompt["loader"] = node("UNETLoader", unet_name="i2v.safetensors", weight_dtype="default")
    assert "image-to-video model and needs a start image" in refusal(prompt)


def checkpoint(name: str, weight_dtype: str = "default") -> dict[str, Any]:
    return node(
        "CausVid_LoadCheckpoint", checkpoint=name, weight_dtype=weight_dtype, sampled_by="auto"
    )


def options(spec: list[Any]) -> list[str]:
    """Choices of a dropdown in either form of the schema."""
    return spec[0] if isinstance(spec[0], list) else spec[1]["options"]
