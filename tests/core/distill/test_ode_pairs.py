"""ODE pairs from a teacher's file to shards, through the command and without it."""

import pytest
import torch
from safetensors.torch import save_file

import causvid_core as cv
from causvid_core.cli import main
from causvid_core.distill.conditioning import Conditioning
from causvid_core.distill.data.ode_pairs import PairSettings, make_ode_pairs
from causvid_core.distill.data.prompt_embeddings import stored_prompt_embeddings
from causvid_core.distill.guidance import Guidance
from causvid_core.distill.ode import trajectory
from causvid_core.mini import TextEncoder
from causvid_core.storage.shards import ShardSet, ShardWriter
from causvid_core.stream.noise import seeded_noise

from .small import bidirectional, make_model

SCHEDULE = cv.recipes["causvid"].schedule(0)
SETTINGS = PairSettings(SCHEDULE, (16, 3, 4, 6), steps=8, guidance_scale=3.0, negative="nothing")


def encode(prompt):
    generator = torch.Generator().manual_seed(len(prompt))
    return torch.randn(len(prompt), 12, generator=generator)


def make(folder, pairs, **options):
    teacher = bidirectional()
    with ShardWriter(folder, "ode-pairs", SETTINGS.header(teacher), shard_size=2) as writer:
        return make_ode_pairs(teacher, pairs, encode, SETTINGS, writer, **options)


def test_a_pair_is_the_trajectory_from_its_own_noise(tmp_path):
    pairs = [("red", 4), ("orange", 5), ("red", 4), ("red", 6)]
    told = []
    assert make(tmp_path, pairs, batch=2, with_context=True, progress=told.append) == 3
    assert told == [2, 3]
    found = ShardSet(tmp_path, kind="ode-pairs")
    assert found.prompts == ["red", "orange", "red"]
    assert found.settings["timesteps"] == [*SCHEDULE.timesteps, 0.0]
    guidance = Guidance(3.0, Conditioning.of([encode("nothing")]))
    for sample, (prompt, seed) in zip(found, [pairs[0], pairs[1], pairs[3]], strict=True):
        noise = seeded_noise(seed)(0, 0, (1, 16, 3, 4, 6))
        text = Conditioning.of([encode(prompt)])
        expected = trajectory(bidirectional(), noise, text, guidance, SCHEDULE, steps=8)
        states = sample.tensors["states"]
        assert states.shape == (4, 16, 3, 4, 6) and states.dtype == torch.float16
        assert torch.equal(states[0], noise[0].half())
        torch.testing.assert_close(states.float(), expected.states[0], atol=5e-3, rtol=5e-3)
        torch.testing.assert_close(
            sample.tensors["context"].float(), encode(prompt), atol=2e-3, rtol=2e-3
        )


def test_pairs_that_are_there_are_not_sampled_again(tmp_path):
    assert make(tmp_path, [("red", 1), ("blue", 2)]) == 2
    assert make(tmp_path, [("red", 1), ("green", 3), ("blue", 2)], batch=3) == 1
    assert ShardSet(tmp_path, kind="ode-pairs").prompts == ["red", "blue", "green"]


def test_another_teacher_needs_another_folder(tmp_path):
    make(tmp_path, [("red", 1)])
    other = SETTINGS.header(bidirectional(seed=1))
    with pytest.raises(ValueError, match="choose an empty folder"):
        ShardWriter(tmp_path, "ode-pairs", other)


def test_encodings_of_another_program_are_looked_up(tmp_path):
    with ShardWriter(tmp_path, "texts") as writer:
        writer.add("1", "a cat", {"context": torch.ones(2, 12).bfloat16()})
    stored = stored_prompt_embeddings(tmp_path)
    assert torch.equal(stored("a cat"), torch.ones(2, 12))
    with pytest.raises(ValueError, match="no encoding of 'a dog'"):
        stored("a dog")


@pytest.fixture
def teacher_file(tmp_path):
    model = make_model(dim=256, num_heads=2, num_layers=1, text_dim=4096, text_len=512)
    save_file(model.state_dict(), tmp_path / "teacher.safetensors")
    return tmp_path / "teacher.safetensors"


def run(teacher, folder, *options):
    size = ["--latent-frames", "3", "--width", "32", "--height", "32", "--steps", "8"]
    command = ["--quiet", "--debug", "make-ode-pairs", str(teacher), str(folder), *size]
    return main([*command, "--recipe", "causvid-mini", *options])


def test_the_command_samples_the_minis_world(teacher_file, tmp_path, capsys):
    assert run(teacher_file, tmp_path / "pairs", "--world", "3", "--batch", "2", "--seed", "5") == 0
    assert "3 pairs made, 3 in all" in capsys.readouterr().out
    found = ShardSet(tmp_path / "pairs", kind="ode-pairs")
    recipe = cv.recipes["causvid-mini"]
    assert found.settings["timesteps"] == [*recipe.timesteps, 0.0]
    assert found.settings["shift"] == recipe.shift
    assert found[0].tensors["states"].shape == (5, 16, 3, 4, 4)
    assert "context" not in found[0].tensors and len(set(found.prompts)) == 3
    assert not TextEncoder.load().unknown_words(" ".join(found.prompts))
    noise = seeded_noise(6)(0, 0, (1, 16, 3, 4, 4))
    assert torch.equal(found[1].tensors["states"][0], noise[0].half())


def test_the_command_reads_prompts_from_a_file(teacher_file, tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a red circle\n\n a blue star moving up \n", encoding="utf-8")
    for part in "10":
        options = ["--prompts", str(prompts), "--parts", "2", "--part", part, "--causal"]
        assert run(teacher_file, tmp_path / "pairs", *options) == 0
    found = ShardSet(tmp_path / "pairs", kind="ode-pairs")
    assert found.prompts == ["a red circle", "a blue star moving up"]
    assert found.settings["causal"] is True
    prompts.write_text("\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no prompts"):
        run(teacher_file, tmp_path / "pairs", "--prompts", str(prompts))
