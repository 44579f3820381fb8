"""The render command as a process that is stopped: softly, at once, and not at all softly."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

import causvid_core as cv

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [
    "render",
    "--prompt",
    "a red circle",
    "--size",
    "32x32",
    "--out",
    "a.mp4",
    "--scale",
    "1",
]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
PATIENCE = 600.0  # seconds for what takes a few

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals")


@pytest.fixture
def running(tmp_path):
    """A render of an hour that has written a few blocks; killed at the end."""
    command = [sys.executable, "-m", "causvid_core", *COMMAND, "--minutes", "60"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    ) as process:
        file, until = tmp_path / "a.part.mp4", time.monotonic() + PATIENCE
        while not (file.exists() and file.stat().st_size > 8000):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < until, "nothing was written"
            time.sleep(0.05)
        yield process
        process.kill()


def px_frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_ctrl_c_leaves_a_video_and_a_stream_and_says_how_to_go_on(running, tmp_path):
    running.send_signal(signal.SIGINT)
    told = running.communicate(timeout=PATIENCE)[1]
    assert running.returncode == 130
    stream = cv.load_stream(tmp_path / "a.stream.safetensors")
    assert px_frames(tmp_path / "a.mp4") == stream.px_frames >= 21
    assert f"stopped after block {stream.blocks} of" in told
    words = shlex.split(told.strip().splitlines()[-1])
    assert words[:4] == ["python", "-m", "causvid_core", "render"]
    left = float(words[words.index("--seconds") + 1])
    assert left == pytest.approx(3600 - stream.px_frames / 16, abs=1e-3)
    words[words.index("--seconds") + 1] = "0.5"
    assert not list(tmp_path.glob(".causvid-*"))
    done = subprocess.run(
        [sys.executable, *words[1:], "--save-stream", "b.safetensors"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "video.mp4 (12 px frames" in done.stdout
    assert cv.load_stream(tmp_path / "b.safetensors").blocks == stream.blocks + 1


def test_a_second_ctrl_c_stops_at_once(running, tmp_path):
    running.send_signal(signal.SIGINT)
    assert any("once more to stop at once" in line for line in running.stderr)
    running.send_signal(signal.SIGINT)
    running.wait(PATIENCE)
    assert running.returncode in (-signal.SIGINT, 130)  # 130 where it was done with its step
    [film] = tmp_path.glob("a.*mp4")  # finished where it was done with its step
    assert px_frames(film) >= 9


def test_a_killed_render_leaves_a_video_that_plays(running, tmp_path):
    running.kill()
    running.wait(PATIENCE)
    assert px_frames(tmp_path / "a.part.mp4") >= 9 and not (tmp_path / "a.mp4").exists()
