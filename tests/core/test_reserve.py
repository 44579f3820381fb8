"""Names of files: one writer each, whatever is killed, and whatever the clock says."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from causvid_core.cli import main
from causvid_core.storage import atomic, locks
from causvid_core.storage.reserve import (
    is_unfinished,
    leftovers,
    partial_name,
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


@posix
def test_a_file_system_without_locks_still_gives_a_name_to_one(tmp_path, monkeypatch):
    def no_locks(*arguments):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", no_locks)
    with reserve(tmp_path / "clip.mp4") as held:
        held.partial.write_bytes(b"half")
        with pytest.raises(FileExistsError, match="delete .*causvid-lock"):
            reserve(tmp_path / "clip.mp4")
        assert [left.dead for left in leftovers(tmp_path)] == [False]
        monkeypatch.undo()
        assert [left.dead for left in leftovers(tmp_path)] == [False]
        held.commit()
    assert names(tmp_path) == ["clip.mp4"]


@posix
def test_a_file_system_without_hard_links_replaces_nothing_either(tmp_path, monkeypatch):
    def no_links(*arguments, **others):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    for there in (False, True):
        with reserve(tmp_path / f"{there}.mp4") as held:
            held.partial.write_bytes(b"ours")
            if there:
                held.path.write_bytes(b"theirs")
                with pytest.raises(FileExistsError):
                    held.commit()
            else:
                held.commit()
        assert held.path.read_bytes() == (b"theirs" if there else b"ours")


@posix
@pytest.mark.parametrize("kind", ["reserve", "replacing"])
def test_links_and_permissions_of_a_replaced_file_stay(tmp_path, kind):
    (tmp_path / "disk").mkdir()
    real, link = tmp_path / "disk" / "real.mp4", tmp_path / "link.mp4"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    if kind == "reserve":
        with reserve(link, replace=True) as held:
            held.partial.write_bytes(b"new")
            held.commit()
    else:
        with atomic.replacing(link) as partial:
            partial.write_bytes(b"new")
    assert link.is_symlink() and real.read_bytes() == b"new"
    assert real.stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["disk", "link.mp4"] and names(real.parent) == ["real.mp4"]


@posix
def test_two_links_to_one_file_are_one_name(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).symlink_to(tmp_path / "real.mp4")
    with reserve(tmp_path / "a.mp4"), pytest.raises(FileExistsError, match="real.mp4 is being"):
        reserve(tmp_path / "b.mp4")


@posix
@pytest.mark.parametrize("write", [reserve, lambda path: atomic.replacing(path).__enter__()])
def test_what_is_no_file_name_is_refused_in_a_sentence(tmp_path, write):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    for path, sentence in (
        (5, "5 is not a file name; give a path"),
        (None, "None is not a file name"),
        (b"bytes", "is not a file name"),
        ("", "is not a file name"),
        ("a\0b", "is not a file name"),
        (tmp_path, "is a folder"),
        (tmp_path / "loop", "loop is a link that leads back to itself"),
        (tmp_path / "pipe", "is a device or a pipe"),
        ("/dev/null", "is a device or a pipe"),
    ):
        with pytest.raises((ValueError, OSError), match=sentence):
            write(path)
    assert names(tmp_path) == ["loop", "pipe"]


@posix
@pytest.mark.parametrize("kind", ["reserve", "replace", "replacing"])
def test_file_and_folder_are_on_the_disk_in_this_order(tmp_path, monkeypatch, kind):
    path, calls = tmp_path / "clip.mp4", []

    def record(module, name, call):
        def recorded(*arguments, **others):
            if name == "fsync":
                folder = os.path.isdir(os.readlink(f"/proc/self/fd/{arguments[0]}"))
                calls.append("sync folder" if folder else "sync file")
            else:
                calls.append("move")
            return call(*arguments, **others)

        monkeypatch.setattr(module, name, recorded)

    for name in ("fsync", "replace", "link"):
        record(os, name, getattr(os, name))
    if kind == "replacing":
        with atomic.replacing(path) as partial:
            partial.write_bytes(b"new")
    else:
        with reserve(path, replace=kind == "replace") as held:
            held.partial.write_bytes(b"new")
            held.commit()
    assert calls == ["sync file", "move", "sync folder"]


@posix
def test_two_names_of_one_file(tmp_path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.mp4").symlink_to("a.mp4")
    assert atomic.same_file(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert atomic.same_file(tmp_path / "new", tmp_path / "x" / ".." / "new")
    assert not atomic.same_file(tmp_path / "a.mp4", tmp_path / "c.mp4")


def test_names_of_unfinished_files():
    assert partial_name("a.stream.safetensors") == "a.stream.part.safetensors"
    assert partial_name("none") == "none.part"
    for name in ("a.part", "a.part.mp4", f"a{atomic.PARTIAL}"):
        with pytest.raises(ValueError, match="is the name of an unfinished file"):
            partial_name(name)


@posix
def test_the_command_sweeps_and_says_what_is_left(tmp_path, capsys):
    killed("reserve", tmp_path / "a.mp4")
    killed("reserve", tmp_path / "far.mp4")
    lock = tmp_path / f".far.mp4{locks.LOCK}"
    values = json.loads(lock.read_text()) | {"name": "farm-7", "host": "0", "boot": "1"}
    lock.write_text(json.dumps(values))
    with holding("reserve", tmp_path / "b.mp4") as running:
        assert main(["sweep", str(tmp_path)]) == 0
        told = capsys.readouterr().out
        running.send_signal(signal.SIGKILL)
    assert "removed a.part.mp4 (4 bytes)" in told
    assert "kept b.part.mp4 (4 bytes): it is being written" in told
    assert "kept far.part.mp4 (4 bytes)" in told
    assert main(["sweep", str(tmp_path / "absent")]) == 2
