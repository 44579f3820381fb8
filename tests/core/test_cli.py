"""The command line: one sentence for every error, results on standard output."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from causvid_core.cli import main

from .checkpoint_layouts import prefixed, save_pt, wan

STATE = wan()


def test_inspect_a_checkpoint_and_a_lora(tmp_path, capsys):
    content = {"generator_ema": prefixed(STATE, "model."), "critic": {}, "step": 1}
    path = save_pt(content, tmp_path / "self_forcing_dmd.pt")
    lora = {
        "base_model.model.blocks.0.ffn.0.lora_A.weight": torch.ones(4, 128),
        "base_model.model.blocks.0.ffn.0.lora_B.weight": torch.ones(48, 4),
    }
    other = save_pt({"generator_lora": lora}, tmp_path / "lora.pt")
    assert main(["inspect", str(path), str(other)]) == 0
    text = capsys.readouterr().out
    for part in (
        "text to video",
        "2 layers, 128 wide, 1 heads",
        "generator_ema",
        "critic, step",
        "Apache-2.0",
        "LoRA, to be applied",
        "1 layers, rank 4",
        "generator_lora",
    ):
        assert part in text


def test_convert(tmp_path, capsys):
    path = save_pt({"generator": wan(dim=96, num_heads=2)}, tmp_path / "m.pt")
    out = tmp_path / "m.safetensors"
    assert main(["convert", str(path), str(out), "--dtype", "bfloat16", "--heads", "2"]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert {t.dtype for t in load_file(out).values()} == {torch.bfloat16}
    with safe_open(out, "pt") as file:
        transformer = json.loads(file.metadata()["config"])["transformer"]
    assert transformer["causal_ar"] is True and transformer["num_heads"] == 2
    assert main(["convert", str(out), str(tmp_path / "again.safetensors"), "--bidirectional"]) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["inspect", "absent.pt"], "absent.pt does not exist"),
        (["convert", "absent.pt", "out.safetensors"], "absent.pt does not exist"),
        (["convert", "absent.pt", "out.pt"], "must end in .safetensors"),
        (["download", "self-forcin"], "did you mean self-forcing"),
        (["render", "--prompt", "x", "--recipe", "none"], "there is no recipe 'none'"),
        (["render", "--prompt", "x", "--seconds", "-1"], "both must be positive"),
    ],
)
def test_errors_are_one_sentence(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.startswith("error: ") and error.count("\n") == 1


def test_the_list_of_downloads(capsys):
    assert main(["download"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("causvid ") and "non-commercial" in line for line in lines)


def test_unknown_commands_exit_with_2(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["dance"])
    assert caught.value.code == 2
