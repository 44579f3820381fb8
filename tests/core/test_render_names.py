"""The names of a render's files: whose they are, and what happens to what is there already."""

import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import causvid_core as cv
from causvid_core.render import run as running
from causvid_core.storage.reserve import leftovers, reserve, sweep

from .test_render import CIRCLE, frames, render, small  # noqa: F401  # a fixture
from .test_reserve import killed

ROOT = Path(__file__).resolve().parents[2]
SHORT = [*CIRCLE, "--seconds", "0.1"]

pytestmark = pytest.mark.usefixtures("small")


class Stop(running.SoftInterrupt):
    """Ctrl-C in the middle of the second block."""

    def check(self):
        self.checks = getattr(self, "checks", 0) + 1
        self.asked = self.checks > 7
        super().check()


def names() -> list[str]:
    """What is there beside the weights."""
    return sorted(p.name for p in Path().iterdir() if p.stem not in ("dit", "vae", "text"))


def test_a_stopped_render_replaces_nothing_that_is_finished(monkeypatch, capsys):
    shared = [*CIRCLE, "--seconds", "2", "--out", "a.mp4", "--sheet", "a.png"]
    shared += ["--save-stream", "a.stream.safetensors"]
    assert render(*shared) == 0
    finished = {name: Path(name).read_bytes() for name in names()}
    assert len(finished) == 3
    monkeypatch.setattr(running, "SoftInterrupt", Stop)
    assert render(*shared, "--overwrite") == 130
    told = capsys.readouterr()
    assert {name: Path(name).read_bytes() for name in finished} == finished
    assert "a.part.mp4 (9 px frames" in told.out
    assert "a.mp4 is still the film that was there before" in told.err
    assert len(frames("a.part.mp4")) == 9
    assert "--resume a.stream-2.safetensors" in told.err
    assert cv.load_stream("a.stream-2.safetensors").blocks == 1
    assert {left.path.name for left in leftovers(Path())} == {"a.part.mp4", "a.part.png"}
    monkeypatch.setattr(running, "SoftInterrupt", Stop.__base__)  # undo() would leave the folder
    assert render(*CIRCLE, "--seconds", "0.1", "--out", "a.mp4", "--overwrite") == 0
    assert len(frames("a.mp4")) == 9 and not Path("a.part.mp4").exists()


def test_a_stopped_render_has_its_name_where_nothing_else_has(monkeypatch):
    monkeypatch.setattr(running, "SoftInterrupt", Stop)
    assert render(*CIRCLE, "--seconds", "2", "--out", "a.mp4") == 130
    assert names() == ["a.mp4", "a.stream.safetensors"] and len(frames("a.mp4")) == 9
    assert render(*CIRCLE, "--seconds", "2", "--out", "a.webm") == 130
    assert "a.stream-2.safetensors" in names()  # the other render's is not replaced


def test_source_and_target_are_not_one_file(capsys):
    assert render(*SHORT, "--out", "a.mp4", "--save-stream", "a.safetensors") == 0
    os.symlink("a.mp4", "link.mp4")
    killed("reserve", Path("b.mp4").absolute())
    before = {path: path.read_bytes() for path in Path().iterdir()}
    for arguments, sentence in (
        (["--video", "a.mp4", "--out", "a.mp4"], "--video and --out are the same file, a.mp4"),
        (["--video", "link.mp4", "--out", "a.mp4"], "--video and --out are the same file, a.mp4"),
        (["--video", "a.mp4", "--out", "link.mp4"], "--video and --out are the same file, link"),
        (["--video", "b.part.mp4", "--out", "b.mp4"], "--video and --out are the same file, b"),
        (["--resume", "a.safetensors", "--save-stream", "./a.safetensors"], "the same file"),
        (["--out", "n.mp4", "--sheet", "n.mp4"], "--sheet and --out are the same file, n.mp4"),
    ):
        assert render(*SHORT, "--overwrite", *arguments) == 2
        error = capsys.readouterr().err
        assert sentence in error and "choose another --" in error and error.count("\n") == 1
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


@pytest.mark.parametrize("option", ["--out", "--save-stream", "--sheet"])
def test_what_exists_is_replaced_only_when_asked_and_only_by_what_is_whole(option, capsys):
    file = {"--out": "a.mp4", "--save-stream": "a.safetensors", "--sheet": "a.png"}[option]
    Path(file).write_bytes(b"old")
    assert render(*SHORT, option, file) == 2
    assert f"{file} already exists; choose another {option}" in capsys.readouterr().err
    assert names() == [file]
    assert render(*SHORT, option, file, "--overwrite", "--vae", "absent.safetensors") == 2
    assert Path(file).read_bytes() == b"old" and names() == [file]
    assert render(*SHORT, option, file, "--overwrite") == 0
    assert Path(file).read_bytes() != b"old"
    assert names() == sorted({file, "a.mp4" if option == "--out" else "video.mp4"})


def test_a_dead_film_is_told_and_taken_over(caplog):
    killed("reserve", Path("a.mp4").absolute())
    killed("reserve", Path("b.mp4").absolute())
    with caplog.at_level(logging.WARNING, "causvid"):
        assert render(*SHORT, "--out", "a.mp4") == 0
    assert "killed renders left b.part.mp4 in .; remove them with:" in caplog.text
    assert len(frames("a.mp4")) == 9 and not Path("a.part.mp4").exists()
    assert [left.path.name for left in leftovers(Path())] == ["b.part.mp4"]


def test_an_unfinished_film_is_read_and_called_so(caplog):
    assert render(*SHORT, "--out", "a.mp4") == 0
    shutil.move("a.mp4", "b.part.mp4")
    with caplog.at_level(logging.WARNING, "causvid"):
        assert render(*CIRCLE, "--video", "b.part.mp4", "--out", "c.mp4") == 0
    assert "b.part.mp4 is unfinished" in caplog.text and len(frames("c.mp4")) == 9


def test_a_name_that_is_being_written_is_refused_or_passed_over(capsys):
    with reserve("video.mp4"), reserve("a.mp4"):
        assert render(*SHORT, "--out", "a.mp4", "--overwrite") == 2
        assert "a.mp4 is being written by process" in capsys.readouterr().err
        assert render(*SHORT) == 0
    assert names() == ["video-2.mp4"]


def started(folder: Path, *arguments: str) -> subprocess.Popen:
    """The command in a process of its own, with the Mini as it is published."""
    return subprocess.Popen(
        [sys.executable, "-m", "causvid_core", "render", *CIRCLE, "--size", "32x32", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_command_lines_that_race_make_two_films_or_one(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    racing = [started(folder, "--seconds", "0.5") for _ in range(2)]
    told = sorted(process.communicate(timeout=600)[0].split()[0] for process in racing)
    assert told == ["video-2.mp4", "video.mp4"]
    assert [len(frames(folder / name)) for name in told] == [9, 9]
    racing = [started(folder, "--seconds", "0.5", "--out", "a.mp4") for _ in range(2)]
    errors = [process.communicate(timeout=600)[1] for process in racing]
    assert sorted(process.returncode for process in racing) == [0, 2]
    [error] = [error for error, process in zip(errors, racing, strict=True) if process.returncode]
    assert "a.mp4 is being written" in error or "a.mp4 already exists" in error
    assert len(frames(folder / "a.mp4")) == 9
    assert len(list(folder.iterdir())) == 3


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_an_overwrite_that_is_killed_leaves_the_old_film(tmp_path):
    folder = tmp_path / "killed"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"old")
    part, until = folder / "a.part.mp4", time.monotonic() + 600
    with started(folder, "--minutes", "60", "--out", "a.mp4", "--overwrite") as process:
        while not (part.exists() and part.stat().st_size > 8000):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < until, "nothing was written"
            time.sleep(0.05)
        process.kill()
    assert (folder / "a.mp4").read_bytes() == b"old" and len(frames(part)) >= 5
    assert {left.path.name for left in sweep(folder)} >= {"a.part.mp4"}
    assert [path.name for path in folder.iterdir()] == ["a.mp4"]
