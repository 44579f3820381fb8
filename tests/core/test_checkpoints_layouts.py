"""Every published layout loads to the same tensors."""

import json
import logging
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import causvid_core as cv
from causvid_core.model.checkpoints import infer_config, normalise, open_checkpoint, read_state_dict
from causvid_core.model.checkpoints.repositories import recognise

from .checkpoint_layouts import assert_same, fuse, i2v, prefixed, save_pt, to_diffusers, wan

STATE = wan()
OTHER = wan(seed=1)
FSDP = {
    "model._fsdp_wrapped_module." + n.replace("self_attn", "_fsdp_wrapped_module.self_attn"): t
    for n, t in STATE.items()
}
CONTAINERS = {
    "causvid": {"generator": prefixed(STATE, "model."), "critic": prefixed(OTHER, "model.")},
    "self_forcing": {
        "generator": prefixed(OTHER, "model."),
        "generator_ema": prefixed(STATE, "model."),
        "critic": prefixed(OTHER, "model."),
        "step": 600,
    },
    "rolling_forcing": {"generator_ema": FSDP},
    "longlive": {"model": prefixed(STATE, "model.")},
    "lightning": {"state_dict": prefixed(STATE, "model.diffusion_model."), "epoch": 3},
    "reward_forcing": prefixed(STATE, "model."),
    "infinite_forcing": {"ema_model": prefixed(STATE, "model.")},
    "lightx2v": STATE,
    "nested": {"state_dict": {"generator": prefixed(STATE, "module._orig_mod.model.")}},
    "counter_beside": {"step": torch.tensor(5), "generator": STATE},
}
PREFIXES = (
    "",
    "model.",
    "module.",
    "_fsdp_wrapped_module.",
    "_orig_mod.",
    "model.diffusion_model.",
    "diffusion_model.",
    "generator.",
    "generator_ema.",
    "module.model._fsdp_wrapped_module.",
    "generator.model._orig_mod.",
    "transformer.",
    "base_model.model.",
)


@pytest.mark.parametrize("name", CONTAINERS)
def test_pt_containers(name, tmp_path):
    path = save_pt(CONTAINERS[name], tmp_path / "model.pt")
    assert_same(cv.load_model(path), STATE)
    assert_same(cv.load_model(CONTAINERS[name]), STATE)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefixes_in_safetensors(prefix, tmp_path):
    save_file(prefixed(STATE, prefix), tmp_path / "m.safetensors")
    assert_same(cv.load_model(tmp_path / "m.safetensors"), STATE)


def test_legacy_pickle(tmp_path):
    torch.save({"generator": STATE}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert_same(cv.load_model(str(tmp_path / "old.pt")), STATE)


def test_flattened_file_with_several_networks(tmp_path):
    flat = {
        **prefixed(OTHER, "generator.model."),
        **prefixed(STATE, "generator_ema.model."),
        **prefixed(wan(seed=2), "critic.model."),
    }
    save_file(flat, tmp_path / "flat.safetensors")
    assert_same(cv.load_model(tmp_path / "flat.safetensors"), STATE)


def test_all_in_one_checkpoint(tmp_path):
    whole = prefixed(STATE, "model.diffusion_model.") | {
        "first_stage_model.decoder.head.0.gamma": torch.ones(8, 1, 1, 1),
        "text_encoders.umt5xxl.transformer.shared.weight": torch.ones(4, 4),
    }
    save_file(whole, tmp_path / "all.safetensors")
    assert_same(cv.load_model(tmp_path / "all.safetensors"), STATE)


@pytest.mark.parametrize("make", [wan, i2v])
def test_diffusers_names(make, tmp_path):
    state = make()
    theirs = to_diffusers(state)
    assert not {n for n in theirs if "self_attn" in n or "norm3" in n or "modulation" in n}
    save_file(theirs, tmp_path / "m.safetensors")
    assert_same(cv.load_model(tmp_path / "m.safetensors"), state)


@pytest.mark.parametrize("inside", ["", "transformer"])
def test_diffusers_folder_in_shards(inside, tmp_path):
    folder = tmp_path / inside
    folder.mkdir(exist_ok=True)
    theirs = to_diffusers(wan(num_heads=2))
    names = sorted(theirs)
    shards = {"a-00001-of-00002": names[::2], "a-00002-of-00002": names[1::2]}
    for shard, part in shards.items():
        save_file({n: theirs[n] for n in part}, folder / f"{shard}.safetensors")
    index = {n: f"{shard}.safetensors" for shard, part in shards.items() for n in part}
    index_path = folder / "diffusion_pytorch_model.safetensors.index.json"
    index_path.write_text(json.dumps({"weight_map": index}))
    (folder / "config.json").write_text(json.dumps({"num_attention_heads": 2}))
    for source in (tmp_path, index_path):
        model = cv.load_model(source)
        assert_same(model, wan(num_heads=2))
        assert model.config.num_heads == 2
    (folder / "a-00002-of-00002.safetensors").unlink()
    with pytest.raises(ValueError, match="a-00002-of-00002.safetensors is missing"):
        cv.load_model(tmp_path)


@pytest.mark.parametrize(
    "fused",
    [
        fuse(STATE),
        fuse(STATE, "self_attn.to_qkv", "cross_attn.to_kv"),
        to_diffusers(fuse(STATE, "attn1.to_qkv", "attn2.to_kv")),
        to_diffusers(fuse(STATE, "attn1.to_qkv", "attn2.to_kv")) | to_diffusers(STATE),
    ],
)
def test_fused_projections(fused):
    assert_same(cv.load_model(fused), STATE)


def test_fp8_storage_and_scaled_fp8(tmp_path):
    plain = {n: t.to(torch.float8_e4m3fn) if t.dim() == 2 else t for n, t in STATE.items()}
    save_file(plain, tmp_path / "fp8.safetensors")
    assert_same(
        cv.load_model(tmp_path / "fp8.safetensors"), {n: t.float() for n, t in plain.items()}
    )
    for end, factor in (("scale_weight", torch.tensor(0.5)), ("weight_scale", torch.tensor([0.5]))):
        name = "blocks.0.ffn.0"
        scaled = plain | {
            f"{name}.{end}": factor,
            "scaled_fp8": torch.zeros(2).to(torch.float8_e4m3fn),
        }
        model = cv.load_model(prefixed(scaled, "model.diffusion_model."))
        weight = plain[f"{name}.weight"].float() * 0.5
        assert torch.equal(model.state_dict()[f"{name}.weight"], weight)


def test_config_from_shapes_and_golden_weights():
    path = Path(__file__).parent / "golden" / "causvid_t2v_3step.safetensors"
    with safe_open(path, "pt") as file:
        case = json.loads(file.metadata()["case"])
        names = [name for name in file.keys() if name.startswith("weights.")]
        state = {name.removeprefix("weights."): file.get_tensor(name) for name in names}
    with pytest.raises(ValueError, match="64 wide.*pass the config"):
        cv.load_model(state)
    sizes = ("dim", "ffn_dim", "freq_dim", "text_dim", "text_len", "num_heads", "num_layers")
    config = cv.WanConfig(**{size: case[size] for size in sizes})
    model = cv.load_model({"generator": prefixed(state, "model.")}, config)
    assert_same(model, state)
    assert model.config == config
    noted = {"causvid": json.dumps({"config": {"num_heads": 2, "text_len": 16}})}
    assert infer_config(state, noted) == config


def test_image_to_video_config():
    config = cv.load_model(i2v()).config
    assert (config.model_type, config.in_dim, config.image_dim) == ("i2v", 36, 40)


def test_dtype_copy_and_grad():
    state = wan()
    model = cv.load_model(state, dtype=torch.bfloat16)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    same = cv.load_model(state)
    with torch.no_grad():
        same.head.head.weight.zero_()
    assert state["head.head.weight"].abs().sum() > 0
    assert all(p.requires_grad for p in same.parameters())


def test_the_log_says_what_was_taken_and_the_licence(tmp_path, caplog):
    folder = (
        tmp_path / "models--tianweiy--CausVid" / "snapshots" / "0" / "autoregressive_checkpoint"
    )
    folder.mkdir(parents=True)
    path = save_pt(CONTAINERS["causvid"], folder / "model.pt")
    with caplog.at_level(logging.INFO, "causvid"):
        cv.load_model(path)
    assert "took 'generator'" in caplog.text
    assert "ignored critic" in caplog.text
    assert "non-commercial" in caplog.text


@pytest.mark.parametrize(
    ("path", "repo"),
    [
        ("models/causvid/mine.pt", None),
        ("models/diffusion_models/causvid.safetensors", "tianweiy/CausVid"),
        ("tianweiy/CausVid/autoregressive_checkpoint/model.pt", "tianweiy/CausVid"),
        ("checkpoints/Self-Forcing/any.pt", "gdhe17/Self-Forcing"),
        ("C:\\models\\self_forcing_dmd.pt", "gdhe17/Self-Forcing"),
        (
            "hub/models--krea--krea-realtime-video/snapshots/0/x.safetensors",
            "krea/krea-realtime-video",
        ),
        ("models/model.pt", None),
    ],
)
def test_known_repositories_are_recognised(path, repo):
    found = recognise(path, {})
    assert (found.repo if found else None) == repo
    assert recognise("x.safetensors", {"repository": "TencentARC/RollingForcing"}) is not None


def test_pure_dicts_and_lazy_reading(tmp_path):
    assert set(normalise(prefixed(to_diffusers(STATE), "model."))) == set(STATE)
    save_file(STATE, tmp_path / "m.safetensors", metadata={"note": "x"})
    checkpoint = open_checkpoint(tmp_path / "m.safetensors")
    assert checkpoint.metadata["note"] == "x"
    read = read_state_dict(tmp_path / "m.safetensors")
    assert all(torch.equal(read[n], t) for n, t in STATE.items())
