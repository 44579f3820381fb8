"""Reservations on file systems of other kinds, and what they do to files and folders."""

import json
import os
import signal

import pytest

from causvid_core.cli import main
from causvid_core.storage import atomic, locks
from causvid_core.storage.reserve import leftovers, partial_name, reserve

from .test_reserve import holding, killed, names, posix


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
