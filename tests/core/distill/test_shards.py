"""Shards: resumed, without doubles, in order, and never trusted blindly."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from causvid_core.storage.atomic import PARTIAL
from causvid_core.storage.reserve import reserve
from causvid_core.storage.shards import ShardError, ShardSet, ShardWriter

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = {"timesteps": (1000.0, 0.0), "teacher": "abc"}


def tensors(number):
    return {
        "states": torch.full((2, 3), float(number), dtype=torch.float16),
        "context": torch.arange(number + 1.0),  # of another size in each
    }


def fill(folder, numbers, shard_size=3, **options):
    with ShardWriter(folder, "ode-pairs", SETTINGS, shard_size, **options) as writer:
        return [writer.add(f"key {n}", f"prompt {n}", tensors(n), f"seed {n}") for n in numbers]


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def shards(folder):
    return sorted(folder.glob("*.safetensors"))


def test_samples_come_back_in_order(tmp_path):
    assert all(fill(tmp_path, range(8)))
    assert len(shards(tmp_path)) == 3
    found = ShardSet(tmp_path, kind="ode-pairs")
    assert len(found) == 8 and found.settings == {"timesteps": [1000.0, 0.0], "teacher": "abc"}
    assert found.keys == [f"key {n}" for n in range(8)] and found.prompts[2] == "prompt 2"
    assert found.shape(4, "context") == (5,)
    for n, sample in enumerate(found):
        assert (sample.key, sample.prompt, sample.source) == (
            f"key {n}",
            f"prompt {n}",
            f"seed {n}",
        )
        assert all(torch.equal(sample.tensors[k], v) for k, v in tensors(n).items())
        assert sample.tensors["states"].dtype == torch.float16
    assert found[-1].key == "key 7"
    with safe_open(shards(tmp_path)[0], "pt") as file:  # any safetensors reader opens it
        assert "0.states" in file.keys()  # noqa: SIM118


def test_a_key_is_added_once(tmp_path):
    assert fill(tmp_path, [0, 1, 0, 1, 2]) == [True, True, False, False, True]
    assert fill(tmp_path, [1, 2, 3]) == [False, False, True]
    assert ShardSet(tmp_path, kind="ode-pairs").keys == [f"key {n}" for n in range(4)]


def test_what_is_added_may_be_changed_afterwards(tmp_path):
    with ShardWriter(tmp_path, "clips") as writer:
        given = torch.zeros(3)
        writer.add("a", "", {"latents": given})
        given += 1
    assert not ShardSet(tmp_path, kind="clips")[0].tensors["latents"].any()


def test_a_killed_run_goes_on_to_the_same_files(tmp_path):
    """Killed by a signal that no program can handle, between two shards and in one."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    fill(whole, range(8))
    script = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path\n"
        "import torch; from causvid_core.storage.shards import ShardWriter\n"
        "from causvid_core.storage import atomic\n"
        "from tests.core.distill.test_shards import SETTINGS, tensors\n"
        "real = atomic.os.replace; done = []\n"
        "def replace(a, b):\n"
        "    if len(done) == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    done.append(b); real(a, b)\n"
        "atomic.os.replace = replace\n"
        "writer = ShardWriter(Path(sys.argv[1]), 'ode-pairs', SETTINGS, 3)\n"
        "for n in range(8): writer.add(f'key {n}', f'prompt {n}', tensors(n), f'seed {n}')\n"
        "writer.flush()\n"
    )
    run = subprocess.run([sys.executable, "-c", script, str(cut), str(ROOT)], cwd=ROOT)
    assert run.returncode == -signal.SIGKILL
    left = [name for name in contents(cut) if name.endswith(PARTIAL)]
    assert len(shards(cut)) == 2 and len(left) == 1  # a part that nobody reads
    assert len(ShardSet(cut, kind="ode-pairs")) == 6
    fill(cut, range(8))
    assert contents(cut) == contents(whole)


def test_two_processes_write_no_shard_of_one_name(tmp_path):
    with reserve(tmp_path / "000-000000.safetensors"):
        fill(tmp_path, [0])
    assert list(contents(tmp_path)) == ["000-000001.safetensors"]


def test_an_error_keeps_what_was_made(tmp_path):
    with pytest.raises(KeyboardInterrupt), ShardWriter(tmp_path, "clips", shard_size=9) as writer:
        writer.add("a", "", {"latents": torch.zeros(3)})
        raise KeyboardInterrupt
    assert len(ShardSet(tmp_path, kind="clips")) == 1


def flipped(data, at, bit):
    """`data` with a bit changed in the byte at `at`, which may count from the end."""
    changed = bytearray(data)
    changed[at] ^= bit
    return bytes(changed)


DAMAGES = {
    "truncated": lambda data, start: data[:-1],
    "header cut": lambda data, start: data[:100],
    "empty": lambda data, start: b"",
    "a bit of a tensor": lambda data, start: flipped(data, start + 5, 16),
    "a bit of the last tensor": lambda data, start: flipped(data, -1, 1),
    "a prompt": lambda data, start: data.replace(b"prompt 4", b"prompt 5"),
    "a tensor's name": lambda data, start: data.replace(b'"1.states"', b'"7.states"'),
    "longer": lambda data, start: data + b"x",
}


def damage(path, kind):
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    path.write_bytes(DAMAGES[kind](data, start))


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_shard_is_named(tmp_path, kind):
    fill(tmp_path, range(9))
    path = shards(tmp_path)[1]
    damage(path, kind)
    with pytest.raises(ShardError) as raised:
        list(ShardSet(tmp_path, kind="ode-pairs"))
    assert raised.value.path == path and path.name in str(raised.value)
    assert "delete it" in str(raised.value)
    left = ShardSet(tmp_path, kind="ode-pairs", skip_damaged=True)
    assert left.damaged == (path,)
    assert [sample.key for sample in left] == [f"key {n}" for n in (0, 1, 2, 6, 7, 8)]


def test_every_flipped_bit_of_a_shard_is_seen(tmp_path):
    """But for the spaces that pad the header: they say nothing."""
    fill(tmp_path, range(2))
    (path,) = shards(tmp_path)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    text = whole[:header].rstrip(b" ")
    for at in [*range(len(text)), *range(header, len(whole))]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        with pytest.raises(ShardError):
            list(ShardSet(tmp_path, kind="ode-pairs"))


def test_a_shard_that_is_damaged_while_in_use_is_named(tmp_path):
    fill(tmp_path, range(6))
    opened = ShardSet(tmp_path, kind="ode-pairs")
    damage(shards(tmp_path)[1], "a bit of the last tensor")
    assert opened[2].key == "key 2"
    with pytest.raises(ShardError, match="have changed"):
        opened[5]
    shards(tmp_path)[0].unlink()
    with pytest.raises(ShardError):
        opened[0]


def test_values_that_are_not_finite_are_refused_both_ways(tmp_path, monkeypatch):
    bad = {"latents": torch.tensor([1.0, torch.nan])}
    with ShardWriter(tmp_path, "clips") as writer:
        with pytest.raises(ValueError, match="clip.mp4.*not finite"):
            writer.add("a", "", bad, "clip.mp4")
        assert "a" not in writer
        monkeypatch.setattr("causvid_core.storage.shards.finite", lambda tensor: True)
        writer.add("a", "", bad)
    with pytest.raises(ShardError, match="not finite"):
        ShardSet(tmp_path, kind="clips")[0]


def test_folders_of_another_kind_or_settings_are_refused(tmp_path):
    fill(tmp_path / "a", [1])
    with pytest.raises(ValueError, match="holds ode-pairs, not clips"):
        ShardWriter(tmp_path / "a", "clips")
    with pytest.raises(ValueError, match="made with"):
        ShardWriter(tmp_path / "a", "ode-pairs", {"teacher": "other"})
    with ShardWriter(tmp_path / "b", "ode-pairs", {"teacher": "other"}) as writer:
        writer.add("x", "", {"states": torch.zeros(1)})
    with pytest.raises(ValueError, match="train on one"):
        ShardSet(tmp_path / "a", tmp_path / "b", kind="ode-pairs")
    with pytest.raises(ValueError, match="no shards of 'pictures'"):
        ShardSet(tmp_path / "a", kind="pictures")
    with pytest.raises(FileNotFoundError, match="make them first"):
        ShardSet(tmp_path / "nowhere", kind="clips")


def test_processes_write_side_by_side_and_folders_are_joined(tmp_path):
    fill(tmp_path / "a", [0, 2, 4, 6], part=0)
    fill(tmp_path / "a", [1, 3, 5], part=1)
    fill(tmp_path / "b", [6, 7])
    found = ShardSet(tmp_path / "a", tmp_path / "b", kind="ode-pairs")
    assert found.keys == [f"key {n}" for n in (0, 2, 4, 6, 1, 3, 5, 7)]


def test_a_foreign_safetensors_file_is_no_shard(tmp_path):
    fill(tmp_path, [0])
    path = shards(tmp_path)[0]
    data = path.read_bytes()
    path.write_bytes(data.replace(b"training data", b"training date"))
    with pytest.raises(ShardError, match="version 1"):
        ShardSet(tmp_path, kind="ode-pairs")


def test_nothing_in_a_shard_is_pickled(tmp_path):
    fill(tmp_path, [0])
    data = shards(tmp_path)[0].read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert json.loads(header["__metadata__"]["content"])["samples"][0]["key"] == "key 0"
