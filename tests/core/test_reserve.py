"""Names of files: one writer each, whatever is killed, and whatever the clock says."""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from causvid_core.storage import atomic, locks
from causvid_core.storage.reserve import (
    is_unfinished,
    leftovers,
    reserve,
    reserve_first,
    scratch_folder,
    sweep,
)

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(os.name != "posix", reason="needs signals and links")

HOLD = """
import sys, time
from causvid_core.storage.atomic import replacing
from causvid_core.storage.reserve import reserve
kind, path = sys.argv[1:]
with (reserve(path) if kind == "reserve" else replacing(path)) as held:
    getattr(held, "partial", held).write_bytes(b"half")
    print("holding", flush=True)
    time.sleep(600)
"""


def holding(kind: str, path: Path) -> subprocess.Popen:
    """A process that has half written a file."""
    command = [sys.executable, "-c", HOLD, kind, str(path)]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert running.stdout.readline() == "holding\n"
    return running


def killed(kind: str, path: Path) -> None:
    with holding(kind, path) as running:
        running.kill()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_name_is_held_written_beside_and_given_when_whole(tmp_path):
    with reserve(tmp_path / "clip.mp4") as held:
        assert held.partial == tmp_path / "clip.part.mp4" and is_unfinished(held.partial)
        with pytest.raises(FileExistsError, match=r"clip.mp4 is being written by process \d+"):
            reserve(tmp_path / "clip.mp4")
        held.partial.write_bytes(b"whole")
        held.commit()
    assert names(tmp_path) == ["clip.mp4"] and held.path.read_bytes() == b"whole"
    with pytest.raises(FileExistsError, match="clip.mp4 already exists"):
        reserve(tmp_path / "clip.mp4")
    with reserve(tmp_path / "clip.mp4", replace=True) as held:
        held.partial.write_bytes(b"not committed")
    assert names(tmp_path) == ["clip.mp4"] and held.path.read_bytes() == b"whole"


def test_counters_go_to_the_next_free_name(tmp_path):
    def counted():
        return (tmp_path / f"{n}.mp4" for n in range(1, 5))

    (tmp_path / "1.mp4").touch()
    with reserve_first(counted()) as second, reserve_first(counted()) as third:
        assert (second.path.name, third.path.name) == ("2.mp4", "3.mp4")
    with pytest.raises(FileExistsError, match="none of the names is free"):
        reserve_first([tmp_path / "1.mp4"])


def test_a_file_that_appears_meanwhile_is_not_replaced_and_nothing_is_lost(tmp_path):
    with reserve(tmp_path / "clip.mp4") as held:
        held.partial.write_bytes(b"ours")
        held.path.write_bytes(b"theirs")
        with pytest.raises(FileExistsError, match=r"what was written is in .*clip.part.mp4"):
            held.commit()
    assert held.path.read_bytes() == b"theirs" and held.partial.read_bytes() == b"ours"
    assert [(left.path, left.bytes, left.dead) for left in leftovers(tmp_path)] == [
        (held.partial, 4, True)
    ]


def test_a_file_of_somebody_else_is_not_taken_for_a_leftover(tmp_path):
    (tmp_path / "clip.part.mp4").write_bytes(b"my own")
    with pytest.raises(FileExistsError, match="clip.part.mp4 is in the way"):
        reserve(tmp_path / "clip.mp4")
    assert names(tmp_path) == ["clip.part.mp4"] and not leftovers(tmp_path) + sweep(tmp_path)


def _race(folder: str, start, won) -> None:
    start.wait()
    with reserve_first(Path(folder, f"{n}.mp4") for n in range(1, 100)) as held:
        held.partial.write_text(str(os.getpid()))
        held.commit()
    won.put(held.path.name)


def test_processes_that_race_get_names_of_their_own(tmp_path):
    processes = 8
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    start, won = context.Event(), context.Queue()
    racing = [
        context.Process(target=_race, args=(str(tmp_path), start, won)) for _ in range(processes)
    ]
    for process in racing:
        process.start()
    start.set()
    found = sorted(won.get(timeout=120) for _ in racing)
    for process in racing:
        process.join()
    assert len(set(found)) == processes and names(tmp_path) == found
    assert {path.read_text() for path in tmp_path.iterdir()} == {str(p.pid) for p in racing}


@posix
def test_what_a_killed_writer_left_is_found_and_taken_over(tmp_path):
    path = tmp_path / "clip.mp4"
    running = holding("reserve", path)
    with running:
        assert [left.dead for left in leftovers(tmp_path)] == [False] and not sweep(tmp_path)
        with pytest.raises(FileExistsError, match=f"by process {running.pid}"):
            reserve(path)
        running.kill()
    assert [left.dead for left in leftovers(tmp_path)] == [True]
    with reserve(path):
        pass  # an error before the first frame: what the killed one made is still there
    assert (tmp_path / "clip.part.mp4").read_bytes() == b"half"
    with reserve(path) as held:
        held.partial.write_bytes(b"whole")
        held.commit()
    assert names(tmp_path) == ["clip.mp4"] and path.read_bytes() == b"whole"


@posix
@pytest.mark.parametrize("hours", [-25, 25])
@pytest.mark.parametrize("kind", ["reserve", "replacing"])
def test_a_clock_that_jumps_costs_no_living_writer_its_file(tmp_path, kind, hours):
    with holding(kind, tmp_path / "clip.mp4") as running:
        there = time.time() + hours * 3600
        for path in tmp_path.iterdir():
            os.utime(path, (there, there))
        before = names(tmp_path)
        with atomic.replacing(tmp_path / "other") as partial:
            partial.write_bytes(b"other")
        assert not sweep(tmp_path) and names(tmp_path) == sorted([*before, "other"])
        running.kill()
    assert [left.bytes for left in sweep(tmp_path)] == [4] and names(tmp_path) == ["other"]


@posix
def test_the_next_file_sweeps_dead_temporary_files_but_no_film(tmp_path):
    killed("replacing", tmp_path / "a.safetensors")
    killed("reserve", tmp_path / "b.mp4")
    with atomic.replacing(tmp_path / "c") as partial:
        partial.write_bytes(b"")
    assert names(tmp_path) == [f".b.mp4{locks.LOCK}", "b.part.mp4", "c"]


@posix
def test_scratch_folders_of_killed_processes_are_removed(tmp_path):
    script = (
        "import os, sys; from pathlib import Path\n"
        "from causvid_core.storage.reserve import scratch_folder\n"
        "with scratch_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'latents').write_bytes(b'x'); os.kill(os.getpid(), 9)\n"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT)
        assert len(names(tmp_path)) == 2  # the folder and its lock, of this one alone
    with scratch_folder(tmp_path) as mine, scratch_folder(tmp_path) as other:
        assert mine != other and len(names(tmp_path)) == 4 and not sweep(tmp_path)
    assert not names(tmp_path)


@posix
def test_another_machines_file_is_never_dead(tmp_path):
    killed("reserve", tmp_path / "clip.mp4")
    lock = tmp_path / f".clip.mp4{locks.LOCK}"
    values = json.loads(lock.read_text())
    lock.write_text(json.dumps(values | {"name": "farm-7", "host": "0" * 16, "boot": "1" * 16}))
    assert [left.dead for left in leftovers(tmp_path)] == [False] and not sweep(tmp_path)
    with pytest.raises(FileExistsError, match="clip.mp4 is being written on farm-7, or its writer"):
        reserve(tmp_path / "clip.mp4")
    lock.write_text(json.dumps(values | {"boot": "1" * 16}))  # this machine, before it was started
    assert [left.dead for left in leftovers(tmp_path)] == [True]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"name": 1', b"\xff" * 9000])
def test_a_lock_that_says_nothing_proves_nothing(tmp_path, content):
    (tmp_path / f".clip.mp4{locks.LOCK}").write_bytes(content)
    (tmp_path / "clip.part.mp4").write_bytes(b"half")
    assert not sweep(tmp_path) and [left.dead for left in leftovers(tmp_path)] == [False]
    with pytest.raises(FileExistsError, match="delete .*causvid-lock"):
        reserve(tmp_path / "clip.mp4")


@posix
def test_a_pipe_in_place_of_a_lock_holds_nobody_up(tmp_path):
    os.mkfifo(tmp_path / f".clip.mp4{locks.LOCK}")
    assert not sweep(tmp_path) and not leftovers(tmp_path)
    with pytest.raises(FileExistsError):
        reserve(tmp_path / "clip.mp4")


@posix
def test_a_lock_leads_to_no_file_but_its_own(tmp_path):
    """Whoever can write into the folder cannot have other files swept."""
    killed("reserve", tmp_path / "clip.mp4")
    lock = tmp_path / f".clip.mp4{locks.LOCK}"
    (tmp_path / "precious.mp4").write_bytes(b"kept")
    lock.write_text(json.dumps(json.loads(lock.read_text()) | {"partial": "precious.mp4"}))
    sweep(tmp_path)
    assert names(tmp_path) == ["precious.mp4"]
