"""What is not a plain Wan transformer is refused in one sentence that says what it is."""

import io
import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

import causvid_core as cv
from causvid_core.model.checkpoints import CheckpointError

from .checkpoint_layouts import prefixed, save_pt, wan

STATE = wan()
ONE = torch.ones(2, 2)


def names(*keys):
    return {key: torch.ones(2, 2) for key in keys}


FOREIGN = {
    "VACE": STATE | names("vace_patch_embedding.weight", "vace_blocks.0.self_attn.q.weight"),
    "Wan 2.2 TI2V-5B.*48 channels": STATE
    | {
        "patch_embedding.weight": torch.ones(128, 48, 1, 2, 2),
        "head.head.weight": torch.ones(192, 128),
        "head.head.bias": torch.ones(192),
    },
    "Stable Diffusion XL": names(
        "model.diffusion_model.input_blocks.0.0.weight",
        "model.diffusion_model.label_emb.0.0.weight",
        "first_stage_model.decoder.conv_in.weight",
        "conditioner.embedders.0.transformer.text_model.encoder.layers.0.mlp.fc1.weight",
    ),
    "Stable Diffusion 1": names(
        "model.diffusion_model.input_blocks.0.0.weight", "model.diffusion_model.out.2.weight"
    ),
    "Flux": names("double_blocks.0.img_attn.qkv.weight", "single_blocks.0.linear1.weight"),
    "Wan VAE.*VAE loader": names(
        "encoder.conv1.weight", "decoder.conv1.weight", "decoder.head.0.gamma", "conv1.weight"
    ),
    "not a Wan model .1 tensors such as critic.": names("critic.model.blocks.0.ffn.0.weight"),
    "T5 text encoder": names("shared.weight", "encoder.block.0.layer.0.SelfAttention.q.weight"),
    "UMT5 text encoder": names("token_embedding.weight", "blocks.0.attn.q.weight", "norm.weight"),
    "CLIP text encoder": names("text_model.encoder.layers.0.mlp.fc1.weight"),
    "is a LoRA of 1 layers": names(
        "base_model.model.blocks.0.self_attn.q.lora_A.weight",
        "base_model.model.blocks.0.self_attn.q.lora_B.weight",
    ),
    "LoRA that was not merged": names(
        "base_model.model.blocks.0.self_attn.q.base_layer.weight",
        "base_model.model.blocks.0.self_attn.q.lora_A.default.weight",
    ),
    "first-and-last-frame": STATE | names("img_emb.emb_pos"),
    "speech-to-video": STATE | names("casual_audio_encoder.encoder.final_linear.weight"),
    "not a Wan model.*foo": names("foo.weight", "bar.weight"),
}


@pytest.mark.parametrize("sentence", FOREIGN)
def test_foreign_models(sentence, tmp_path):
    save_file(FOREIGN[sentence], tmp_path / "m.safetensors")
    refused(tmp_path / "m.safetensors", sentence)
    refused(FOREIGN[sentence], sentence)


def refused(source, sentence):
    with pytest.raises(CheckpointError, match=sentence) as caught:
        cv.load_model(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Harm:
    def __reduce__(self):
        return os.system, ("touch harm-was-done",)


@pytest.mark.parametrize("legacy", [False, True])
def test_pickle_with_code(legacy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(
        {"generator": STATE, "x": Harm()}, "bad.pt", _use_new_zipfile_serialization=not legacy
    )
    message = refused(tmp_path / "bad.pt", "contains code")
    assert "system" in message
    assert not (tmp_path / "harm-was-done").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_bare_pickle_with_code(tmp_path):
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps(Harm()))
    refused(tmp_path / "bad.pkl", "contains code")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.999])
def test_truncated_files(keep, tmp_path):
    save_file(STATE, tmp_path / "whole.safetensors")
    save_pt({"generator": STATE}, tmp_path / "whole.pt")
    torch.save(STATE, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("whole.safetensors", "whole.pt", "old.pt"):
        data = (tmp_path / name).read_bytes()
        (tmp_path / f"cut-{name}").write_bytes(data[: int(len(data) * keep)])
        refused(tmp_path / f"cut-{name}", "truncated")


def test_cut_inside_the_header_says_how_much_is_there(tmp_path):
    save_file(STATE, tmp_path / "m.safetensors")
    data = (tmp_path / "m.safetensors").read_bytes()
    (tmp_path / "m.safetensors").write_bytes(data[:100])
    assert "100 bytes are there" in refused(tmp_path / "m.safetensors", "truncated")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"GGUF\x03\x00\x00\x00" + b"\0" * 64, "GGUF"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"just some text that is no model at all", "neither safetensors nor a PyTorch file"),
        (b"\x10\0\0\0\0\0\0\0{broken json    ", "damaged safetensors header"),
        (b"\x02\0\0\0\0\0\0\0{}", "without any tensor"),
        (b"\x80\x02garbage", "damaged|contains code"),
    ],
)
def test_other_files(content, sentence, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    refused(path, sentence)


def test_other_archives_and_folders(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "hello")
    (tmp_path / "a.pt").write_bytes(buffer.getvalue())
    refused(tmp_path / "a.pt", "zip archive without")
    refused(tmp_path, "is a folder without")
    refused(tmp_path / "absent.pt", "does not exist")
    refused(save_pt(torch.ones(3), tmp_path / "t.pt"), "holds a Tensor")
    refused(save_pt({"lr": 0.1, "args": {}}, tmp_path / "o.pt"), "holds no state dict")
    refused({}, "holds no state dict")


def test_a_pt_file_under_the_wrong_name_still_loads(tmp_path):
    save_pt({"generator": STATE}, tmp_path / "renamed.safetensors")
    assert cv.load_model(tmp_path / "renamed.safetensors").config.dim == 128


def test_incomplete_models():
    without = {n: t for n, t in STATE.items() if n != "blocks.1.ffn.2.bias"}
    refused(without, r"1 of \d+ tensors are missing, the first is blocks.1.ffn.2.bias")
    middle = wan(num_layers=3)
    refused({n: t for n, t in middle.items() if ".1." not in n[:9]}, "blocks.1 is missing")
    refused(STATE | {"head.head.bias": torch.ones(7)}, r"head.head.bias has shape \(7,\)")
    refused(STATE | names("blocks.0.self_attn.extra.weight"), "1 tensors belong to no plain Wan")


def test_two_models_under_one_name():
    refused(STATE | prefixed(STATE, "model."), "twice")


def test_a_config_of_another_size():
    config = cv.WanConfig(dim=256, ffn_dim=48, num_heads=2, num_layers=2, freq_dim=16, text_dim=24)
    with pytest.raises(CheckpointError, match="expected .*256"):
        cv.load_model(STATE, config)


def test_quantised_weights_are_named():
    packed = dict(STATE)
    packed["blocks.0.ffn.0.weight"] = torch.zeros(48, 128, dtype=torch.int8)
    refused(packed, "stored as int8")


def test_a_dict_that_holds_itself(tmp_path):
    cyclic = {}
    cyclic["model"] = cyclic
    refused(cyclic, "more than 16 dicts deep")
    torch.save(cyclic, tmp_path / "m.pt")
    refused(tmp_path / "m.pt", "m.pt nests its weights more than 16 dicts deep")


def test_a_layer_of_a_huge_number():
    refused(STATE | names("blocks.999999999.ffn.0.weight"), r"incomplete: blocks\.\d+ is missing")


def test_a_compressed_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", bytes(4_000_000))
    refused(tmp_path / "m.pt", "bytes that become 4,000,000")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_pipe_that_nobody_writes_to(tmp_path):
    os.mkfifo(tmp_path / "m.safetensors")
    refused(tmp_path / "m.safetensors", "is a pipe or a device")


@pytest.mark.parametrize("field", ["dim", "num_heads", "num_layers", "text_len"])
@pytest.mark.parametrize("value", [0, -2, 2.5, True, float("nan"), "8", 10**9])
def test_a_config_with_impossible_sizes(field, value):
    sizes = {"dim": 96, "ffn_dim": 192, "num_heads": 2, "num_layers": 3}
    with pytest.raises(ValueError, match=f"^{field} is .*; expected a whole number"):
        cv.WanConfig(**sizes | {field: value})


@pytest.mark.parametrize("eps", [0, -1e-6, float("nan"), float("inf"), "1e-6", None, True])
def test_a_config_with_an_impossible_eps(eps):
    with pytest.raises(ValueError, match="^eps is .*; expected a number between 0 and 1"):
        cv.WanConfig(dim=96, ffn_dim=192, num_heads=2, num_layers=3, eps=eps)


def test_json_nested_too_deeply(tmp_path):
    save_file({"a": ONE}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("[" * 200_000)
    refused(tmp_path, "config.json is damaged")


def test_an_empty_patch():
    refused(STATE | {"patch_embedding.weight": torch.ones(96, 16, 1, 0, 2)}, "which is empty")


@pytest.mark.parametrize("table", ["[]", '{"a": 1}', '{"a": ["b"]}', "null"])
def test_an_index_that_is_no_table(table, tmp_path):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text('{"weight_map": ' + table + "}")
    refused(path, "no table of file names")
