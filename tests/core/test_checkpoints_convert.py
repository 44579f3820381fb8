"""Conversion writes what ComfyUI's loader opens, atomically and without a second copy."""

import json
import tracemalloc

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import causvid_core as cv
from causvid_core.model.checkpoints import CheckpointError, convert, host_metadata
from causvid_core.model.checkpoints.read import read_stored
from causvid_core.storage import safetensors_file
from causvid_core.storage.lazy import LazyTensor

from .checkpoint_layouts import SIZES, assert_same, i2v, prefixed, save_pt, wan

STATE = wan()


def header(path) -> dict:
    with safe_open(path, "pt") as file:
        return file.metadata()


def test_convert_writes_bare_names_and_notes(tmp_path):
    folder = tmp_path / "gdhe17" / "Self-Forcing"
    folder.mkdir(parents=True)
    path = save_pt({"generator_ema": prefixed(STATE, "model.")}, folder / "self_forcing_dmd.pt")
    out = convert(path, tmp_path / "out" / "sf.safetensors")
    stored = load_file(out)
    assert set(stored) == set(STATE)
    assert all(torch.equal(stored[name], tensor) for name, tensor in STATE.items())
    metadata = header(out)
    assert json.loads(metadata["config"]) == {
        "transformer": {"causal_ar": True, "freq_dim": 16, "text_dim": 24}
    }
    notes = json.loads(metadata["causvid"])
    assert notes["source"] == "self_forcing_dmd.pt"
    assert notes["key"] == "generator_ema"
    assert notes["repository"] == "gdhe17/Self-Forcing"
    assert notes["licence"].startswith("Apache-2.0")
    assert_same(cv.load_model(out), STATE)


def test_heads_and_prompt_length_survive(tmp_path):
    config = cv.WanConfig(**SIZES | {"dim": 96, "num_heads": 2, "text_len": 16})
    state = wan(dim=96, num_heads=2)
    out = convert(state, tmp_path / "m.safetensors", config=config)
    model = cv.load_model(out)
    assert model.config == config
    assert json.loads(header(out)["config"])["transformer"]["num_heads"] == 2


def test_host_metadata_of_published_sizes():
    wan_1_3b = cv.WanConfig(dim=1536, ffn_dim=8960, num_heads=12, num_layers=30)
    assert json.loads(host_metadata(wan_1_3b)["config"]) == {"transformer": {"causal_ar": True}}
    assert json.loads(host_metadata(wan_1_3b, causal=False)["config"]) == {"transformer": {}}


def test_image_to_video_is_not_announced_as_the_hosts_causal_class(tmp_path):
    out = convert(i2v(), tmp_path / "m.safetensors")
    assert "causal_ar" not in json.loads(header(out)["config"])["transformer"]
    assert_same(cv.load_model(out), i2v())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn])
def test_dtypes(dtype, tmp_path):
    stored = load_file(convert(STATE, tmp_path / "m.safetensors", dtype=dtype))
    assert stored["blocks.0.ffn.0.weight"].dtype == dtype
    assert stored["blocks.0.modulation"].dtype == torch.bfloat16
    assert torch.equal(stored["blocks.0.ffn.0.weight"], STATE["blocks.0.ffn.0.weight"].to(dtype))


def test_scaled_fp8_becomes_bfloat16(tmp_path):
    state = {n: t.to(torch.float8_e4m3fn) if t.dim() == 2 else t for n, t in STATE.items()}
    state |= {"blocks.0.ffn.0.scale_weight": torch.tensor(0.5)}
    stored = load_file(convert(state, tmp_path / "m.safetensors"))
    assert {t.dtype for t in stored.values()} == {torch.bfloat16}


def test_lora_is_merged(tmp_path):
    down, up = torch.randn(4, 128), torch.randn(128, 4)
    lora = {
        "base_model.model.blocks.0.self_attn.q.lora_A.weight": down,
        "base_model.model.blocks.0.self_attn.q.lora_B.weight": up,
    }
    path = save_pt({"generator_lora": lora}, tmp_path / "lora.pt")
    out = convert({"model": STATE}, tmp_path / "m.safetensors", path)
    name = "blocks.0.self_attn.q.weight"
    torch.testing.assert_close(load_file(out)[name], STATE[name] + up @ down)
    assert json.loads(header(out)["causvid"])["lora"] == "lora.pt"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "m.safetensors"
    target.write_bytes(b"precious")

    def fail():
        raise OSError("disk on fire")

    tensors = {"a": LazyTensor.of(torch.ones(4)), "b": LazyTensor((4,), torch.float32, fail)}
    with pytest.raises(OSError, match="disk on fire"):
        safetensors_file.write(target, tensors, {}, {})
    assert target.read_bytes() == b"precious"
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_written_files_are_aligned_and_read_by_safetensors(tmp_path):
    tensors = {
        "odd": torch.arange(3, dtype=torch.uint8),
        "scalar": torch.tensor(2.5),
        "wide": torch.arange(6, dtype=torch.int64).reshape(2, 3).t(),
        "half": torch.randn(5).half(),
        "empty": torch.empty(0, 4),
    }
    lazy = {name: LazyTensor.of(tensor) for name, tensor in tensors.items()}
    safetensors_file.write(tmp_path / "m.safetensors", lazy, {"note": "é"}, {})
    stored = load_file(tmp_path / "m.safetensors")
    assert all(torch.equal(stored[name], tensor) for name, tensor in tensors.items())
    assert header(tmp_path / "m.safetensors")["note"] == "é"


def test_targets_and_dtypes_are_checked(tmp_path):
    with pytest.raises(CheckpointError, match=r"must end in \.safetensors"):
        convert(STATE, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="cannot store weights as torch.int8"):
        convert(STATE, tmp_path / "m.safetensors", dtype=torch.int8)


def test_reading_a_header_allocates_no_tensor(tmp_path):
    big = {"x": LazyTensor((1 << 22,), torch.float32, lambda: torch.zeros(1 << 22))}
    safetensors_file.write(tmp_path / "m.safetensors", big, {}, {})
    tracemalloc.start()
    read_stored(tmp_path / "m.safetensors")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("length", [0x80, 0xBC, 0x4B50])
def test_header_lengths_that_look_like_another_format(length, tmp_path):
    entry = {"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    text = json.dumps(entry).encode()
    text = json.dumps(entry | {"__metadata__": {"n": " " * (length - len(text) - 30)}}).encode()
    text += b" " * (length - len(text))
    assert len(text) == length
    (tmp_path / "m.safetensors").write_bytes(length.to_bytes(8, "little") + text + b"\0" * 4)
    assert set(read_stored(tmp_path / "m.safetensors").tensors) == {"x"}


def test_a_checkpoint_is_not_converted_onto_itself(tmp_path):
    source = convert(STATE, tmp_path / "m.safetensors")
    (tmp_path / "link.safetensors").symlink_to(source)
    before = source.read_bytes()
    for target in (source, tmp_path / "link.safetensors", tmp_path / "." / "m.safetensors"):
        with pytest.raises(CheckpointError, match="is what is read; choose another file to write"):
            convert(source, target)
    with pytest.raises(CheckpointError, match="is what is read"):
        convert(STATE, source, lora=source)
    with pytest.raises(ValueError, match="5 is not a file name"):
        convert(STATE, 5)
    assert source.read_bytes() == before
