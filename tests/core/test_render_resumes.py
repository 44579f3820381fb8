"""A render from the command line that is killed, and the same command again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import causvid_core as cv
from causvid_core.media.video import read_frames

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
PATIENCE = 600.0  # seconds for what takes a few
SCHEDULE = "0: a red circle\n2s ~1s [recache]: a blue star\n4s [cut]: a green ring"
PX_FRAMES = 141  # 12 blocks, one cut
KEPT_BLOCKS = 4


def command(folder: Path, out: str) -> list[str]:
    (folder / "schedule.txt").write_text(SCHEDULE)
    words = ["render", "--schedule", "schedule.txt", "--size", "32x32", "--scale", "1"]
    words += ["--seconds", str(PX_FRAMES / 16), "--checkpoint-blocks", "2", "--out", out]
    return [sys.executable, "-m", "causvid_core", *words, "--save-stream", f"{out}.safetensors"]


def run(folder: Path, out: str) -> str:
    done = subprocess.run(
        command(folder, out), cwd=folder, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_unknown_words_are_named_at_the_end(tmp_path):
    text = "0: a zebra\n2s ~1s [recache]: a blue star\n4s [cut]: a checkered ring"
    (tmp_path / "other.txt").write_text(text)
    words = command(tmp_path, "a.mp4")
    words[words.index("schedule.txt")] = "other.txt"
    words[words.index("--seconds") + 1] = "0.5"
    done = subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == (
        "CausVid Mini does not know and skipped: zebra; checkered -> gradient, striped, dotted"
    )


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_the_same_command_resumes_after_kill_9_and_makes_the_same(tmp_path):
    with subprocess.Popen(command(tmp_path, "a.mp4"), cwd=tmp_path, env=ENVIRONMENT) as process:
        until = time.monotonic() + PATIENCE
        size = 0
        while size < KEPT_BLOCKS * 3 * 16 * 4 * 4 * 4:
            assert process.poll() is None and time.monotonic() < until
            journals = list((tmp_path / ".causvid-checkpoints").glob("*.journal"))
            size = sum(path.stat().st_size for path in journals)
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "a.mp4.safetensors").exists()
    assert "resuming after block" in run(tmp_path, "a.mp4")
    assert "resuming" not in run(tmp_path, "b.mp4")
    once, twice = (cv.load_stream(tmp_path / f"{name}.mp4.safetensors") for name in "ba")
    assert torch.equal(once.latents, twice.latents)
    frames = [np.stack(list(read_frames(tmp_path / f"{name}.mp4"))) for name in "ba"]
    np.testing.assert_array_equal(*frames)
    names = {path.name for path in tmp_path.iterdir()}
    made = {f"{name}.mp4{suffix}" for name in "ab" for suffix in ("", ".safetensors")}
    assert names == made | {"schedule.txt"}
